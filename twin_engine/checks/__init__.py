"""The contract of a model, rule by rule; `twin_engine.check` asks them all."""
