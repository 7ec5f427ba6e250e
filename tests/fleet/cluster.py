"""Three RabbitMQ 4 nodes of one cluster on this machine, with quorum queues. Each node is a Broker (tests/e2e/broker.py) and
can be killed and started again by itself. They share one epmd, which no kill takes along; all else is their own."""

import concurrent.futures
import json
import os
import secrets
import signal
import subprocess

import processes
from broker import OWN_TREE, Broker, definitions, namespace, root
from common import Service, free_port, wait_until

NODES = 3
# docs/cloud-cluster.md says why.
QUEUE = {
    "x-queue-type": "quorum", "x-queue-leader-locator": "balanced", "x-delivery-limit": -1, "x-overflow": "reject-publish",
    "x-max-length-bytes": 1 << 30,
}  # fmt: skip
# Each node is a machine that cannot count on the others being there first.
CONFIGURATION = """
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.target_cluster_size_hint = {count}
cluster_partition_handling = pause_minority
"""
EPMD = 'exec chroot "$1" /usr/bin/epmd -port "$2" -address 127.0.0.1'


def name(i):
    return f"rabbit{i}@localhost"


class Node(Broker):
    def __init__(self, folder, pki, i, epmd, cookie):
        formation = CONFIGURATION.format(count=NODES) + "".join(
            f"cluster_formation.classic_config.nodes.{k + 1} = {name(k)}\n" for k in range(NODES)
        )
        super().__init__(folder, pki, (), settings=formation)
        # Queues made while the first node is alone would have one replica: what is defined comes later.
        text = (self.folder / "rabbitmq.conf").read_text(encoding="utf-8")
        self._write("rabbitmq.conf", text.replace("load_definitions = /mnt/definitions.json\n", ""))
        self._write(".erlang.cookie", cookie)
        (self.folder / ".erlang.cookie").chmod(0o400)
        self.environment |= {"RABBITMQ_NODENAME": name(i), "ERL_EPMD_PORT": str(epmd)}

    def pause(self):
        """Until resume() it does nothing, but its connections stay."""
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    def _signal(self, number):
        for pid in processes.below(self._inner_pid()):
            os.kill(pid, number)


class Cluster(Service):
    """queues: names; each becomes a quorum queue with a replica on every node, their leaders spread over the nodes.
    users, permissions: see Broker. Use it as a context."""

    def __init__(self, folder, pki, queues, users, permissions):
        folder.mkdir(parents=True, exist_ok=True)
        self._epmd_port = free_port()
        cookie = secrets.token_hex(16)
        self.nodes = [Node(folder / name(i), pki, i, self._epmd_port, cookie) for i in range(NODES)]
        self.queues = queues
        wanted = definitions(dict.fromkeys(queues, QUEUE), users, {}, permissions)
        (self.nodes[0].folder / "definitions.json").write_text(json.dumps(wanted), encoding="utf-8")
        self._epmd = None

    @property
    def ports(self):
        return [node.port for node in self.nodes]

    def start(self):
        self._epmd = subprocess.Popen(
            [*namespace(*OWN_TREE), "sh", "-c", EPMD, "epmd", root(), str(self._epmd_port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        with concurrent.futures.ThreadPoolExecutor(NODES) as pool:
            list(pool.map(Broker.start, self.nodes))
        first = self.nodes[0]
        first.control("await_online_nodes", str(NODES))
        first.control("import_definitions", "/mnt/definitions.json")
        # Queues that are made at the same time do not see each other: their leaders are often on the same node.
        first.control("rebalance", "quorum", tool="rabbitmq-queues")
        spread = min(NODES, len(self.queues))
        wait_until(lambda: len(set(self.leaders().values())) == spread, 60, "the queues' leaders are spread over the nodes")
        return self

    def leaders(self, by=0):
        """{queue: number of the node that leads it}, as the node `by` knows it."""
        names = {name(i): i for i in range(NODES)}
        listed = self.nodes[by].control("list_queues", "name", "leader", "--formatter", "json")
        return {one["name"]: names[one["leader"]] for one in listed if one["leader"] in names}

    def stop(self):
        with concurrent.futures.ThreadPoolExecutor(NODES) as pool:
            list(pool.map(lambda node: node.process and node.kill(), self.nodes))
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait(10)
