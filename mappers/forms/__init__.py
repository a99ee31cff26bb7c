"""What an EHR writes again and again in the same words is mapped once: a form, and resources that fill its blanks."""

from mappers.forms.form import Filled, Form
from mappers.forms.forms import Forms
from mappers.forms.meaning import meaning_of

__all__ = ["Filled", "Form", "Forms", "meaning_of"]
