"""Our conversions beside two tables that others published: every pair of codes by moles and by mass that both have."""

from __future__ import annotations

import pytest

from mappers.analytes import find_analytes, step_to
from mappers.facts import Coding

# miracum/loinc-conversion, data/conversion.tsv, commit 048031a: LOINC by moles, its unit, LOINC by mass, its unit,
# factor. Left out are two of its rows: 14937-7 to 3094-0 by 6.006 takes the mass of urea for that of its nitrogen, and
# 22748-8 to 2089-1 by 0.02586 goes the wrong way. Where it has a pair twice, the factor with more digits stands here.
MIRACUM = """
59826-8 umol/L 38483-4 mg/dL 0.01131
14682-9 umol/L 2160-0 mg/dL 0.01131
59260-0 mmol/L 718-7 g/dL 1.61
15074-8 mmol/L 2339-0 mg/dL 18.02
14743-9 mmol/L 41653-7 mg/dL 18.02
14749-6 mmol/L 2345-7 mg/dL 18.02
51596-5 mmol/L 32016-8 mg/dL 18.02
14771-0 mmol/L 1558-6 mg/dL 18.02
14995-5 mmol/L 1518-0 mg/dL 18.02
53553-4 mmol/L 27353-2 mg/dL 18.02
17861-6 mg/dL 2000-8 mmol/L 0.249500998
17864-0 mg/dL 12180-6 mmol/L 0.249500998
14631-6 umol/L 1975-2 mg/dL 0.05847
14629-0 umol/L 1968-7 mg/dL 0.05847
41016-7 umol/L 20505-4 mg/dL 0.058479532
14933-6 umol/L 3084-1 mg/dL 0.01681
19123-9 mg/dL 2601-3 mmol/L 0.411353353
59032-3 mg/dL 32693-4 mmol/L 0.111
30242-2 mg/dL 2518-9 mmol/L 0.111
14118-4 mg/dL 2524-7 mmol/L 0.111
22748-8 mmol/L 2089-1 mg/dL 38.67
39469-2 mmol/L 13457-7 mg/dL 38.67
69419-0 mmol/L 18262-6 mg/dL 38.61003861
14879-1 mmol/L 2777-1 mg/dL 3.097
14920-3 pmol/L 3024-7 ng/dL 0.07769
14928-6 pmol/L 3051-0 pg/mL 0.651
14930-2 nmol/L 3053-6 ng/dL 65.1
14921-1 nmol/L 3026-2 ug/dL 0.0777
14927-8 mmol/L 2571-8 mg/dL 88.5
14683-7 mmol/L 2161-8 mg/dL 11.31
14647-2 mmol/L 2093-3 mg/dL 38.67
14646-4 mmol/L 2085-9 mg/dL 38.67
14723-1 pmol/L 2276-4 ng/mL 0.445
14798-3 umol/L 2498-4 ug/dL 5.585
14800-7 umol/L 2500-7 ug/dL 5.585
22705-8 mmol/L 5792-7 mg/dL 18.02
14635-7 nmol/L 1989-3 ng/mL 0.4006
14675-3 nmol/L 2143-6 ug/dL 0.03625
14685-2 pmol/L 2132-9 pg/mL 1.3554
14732-2 nmol/L 2284-8 ng/mL 0.4414
22674-6 umol/L 3034-6 mg/dL 7.955
56887-3 nmol/L 2639-3 ug/L 17.51
39797-6 umol/L 4092-3 ug/mL 1.4493
31012-8 umol/L 20578-1 ug/mL 1.449
14866-8 pmol/L 2731-8 pg/mL 9.425
14715-7 pmol/L 2243-4 pg/mL 0.2724
14913-8 nmol/L 2986-8 ng/dL 28.84
14719-9 mmol/L 5643-2 mg/dL 4.607
14946-8 umol/L 4086-5 ug/mL 0.1442
22763-7 ug/dL 16362-6 umol/L 0.58719906
13965-9 umol/L 2428-1 mg/L 0.135
14674-6 pmol/L 2141-0 pg/mL 4.541
14890-8 nmol/L 2839-9 ng/mL 0.3145
14334-7 mmol/L 3719-2 ug/mL 6.94
14688-6 umol/L 2191-5 ug/dL 36.85
14877-5 umol/L 3968-5 ug/mL 0.2523
14586-2 pmol/L 1763-2 ng/dL 0.03605
14581-3 umol/L 3298-7 ug/mL 0.1512
14633-2 pmol/L 1986-9 ng/mL 0.00302
14566-4 pmol/L 1649-3 pg/mL 0.4166
14639-9 umol/L 3432-2 ug/mL 0.2363
14665-4 umol/L 5631-7 ug/dL 6.355
14698-5 nmol/L 10535-3 ng/mL 0.7809
20448-7 u[IU]/mL 14796-7 pmol/L 5.988023952
14807-2 umol/L 5671-3 ug/dL 20.72
14874-2 umol/L 3948-7 ug/mL 0.2322
14909-6 mmol/L 4024-6 mg/dL 13.71
14915-3 umol/L 4049-3 ug/mL 0.1802
"""

# Roche Elecsys proBNP II, method sheet: 1 pmol/L = 8.457 pg/mL
OTHERS = [("71425-3", "pmol/L", "33762-6", "pg/mL", 8.457)]
SALTS = {"14909-6"}  # they count sodium salicylate, we the acid: 0.7 % apart


def pairs():
    told = [line.split() for line in MIRACUM.strip().splitlines()]
    return [*((a, b, c, d, float(e)) for a, b, c, d, e in told), *OTHERS]


@pytest.mark.parametrize(("moles", "one", "mass", "other", "factor"), pairs())
def test_a_factor_is_that_of_the_published_table(moles, one, mass, other, factor):
    [(by_moles, _)], [(by_mass, _)] = (find_analytes([Coding("http://loinc.org", code)]) for code in (moles, mass))
    assert by_moles.name == by_mass.name
    there, here = step_to(by_moles, one, ""), step_to(by_mass, other, "")
    assert not isinstance(there, str)
    assert not isinstance(here, str)
    assert float(there.slope / here.slope) == pytest.approx(factor, rel=8e-3 if moles in SALTS else 5e-3)
