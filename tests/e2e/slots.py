"""Slots of a bus that its worker has skipped: where instruments answer, only a busy machine is the cause."""


def requests(sim):
    """{bus: requests that the simulator has seen}"""
    return {name: one["requests"] for name, one in sim.say("figures").items()}


def skipped(gateway, sim, before=None):
    """{bus: slots skipped so far}, by reports that the workers have made since this call: the status has none for up to 2 s.
    before: requests() when this gateway started, if another ran earlier."""
    asked = {name: count - (before or {}).get(name, 0) for name, count in requests(sim).items()}

    def is_new(now):
        return all((bus["requests"] or 0) > asked[bus["name"]] for bus in now["buses"])

    status = gateway.wait_for_status(is_new, 30, "every bus has been reported anew")
    return {bus["name"]: bus["overruns"] or 0 for bus in status["buses"]}
