"""How a figure of build/bench.json is written."""


def figure(value, unit, against):
    return {"value": round(value, 4), "unit": unit, "against": round(against, 4), "ratio": round(value / against, 4)}
