"""What the whole-gateway figures are measured in: simulated controllers, a real RabbitMQ 4, one running gateway."""

import contextlib

from broker import Broker
from common import free_port, make_certificates
from gateway import Gateway, cloud_part
from plants import instrument_part, sequence_tags, tcp_part
from simulator import Simulator, block


class World:
    """endpoints: Modbus TCP servers; registers: how many of each one's are polled every second. Use it as a context."""

    def __init__(self, folder, endpoints, registers):
        self.folder = folder
        self.registers = registers
        self.names = [f"server-{i}" for i in range(endpoints)]
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            pki = make_certificates(self.folder / "pki")
            broker = stack.enter_context(Broker(self.folder / "broker", pki, ("bench",)))
            blocks = [block("holding", 0, "uint16", "sine", count=self.registers, base=2000, swing=900, noise=20, period=600)]
            tcp = [{"name": name, "units": [{"unit": 1, "blocks": blocks}]} for name in self.names]
            simulator = stack.enter_context(Simulator(self.folder / "plant", {"tcp": tcp}, recording=False))
            self.ports = simulator.where
            self._gateway = stack.enter_context(Gateway(self.folder / "gateway", self._configuration(pki, broker.port)))
            self._gateway.start()
            self._gateway.wait_for_link()
            self._stack = stack.pop_all()
        return self

    def _configuration(self, pki, broker_port):
        return {
            "store": {"commit_interval": "1s", "forward_interval": "10s"},
            "cloud": cloud_part(broker_port, "bench", pki),
            "page": {"port": free_port(), "certificate": pki / "page.pem", "key": pki / "page.key"},
            "buses": [tcp_part(name, self.ports[name]) for name in self.names],
            "instruments": [
                instrument_part(name, name, 1, sequence_tags(name, 1, self.registers)) for name in self.names
            ],
        }

    def __exit__(self, *problem):
        return self._stack.__exit__(*problem)

    @property
    def gateway_pid(self):
        return self._gateway.process.pid

    def check(self):
        """Figures of a gateway that does not do its work would be worthless."""
        status = self._gateway.status()
        wanted = len(self.names) * self.registers
        assert status["link"]["state"] == "up" and status["link"]["accepted"] > 0, status["link"]
        assert 0.95 * wanted < status["readings_per_s"] < 1.05 * wanted, status["readings_per_s"]
        assert status["store"]["unsent_readings"] < 30 * wanted, status["store"]
