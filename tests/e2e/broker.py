"""A real RabbitMQ 4 on loopback: AMQPS only, SASL EXTERNAL, durable queues, its data kept over kill and restart.

It runs from the root that tests/rabbitmq.sh makes, in mount and pid namespaces of its own: killing the namespace's
first process kills the broker and its epmd at once, as SIGKILL or a power cut would, and nothing is left behind."""

import json
import os
import pathlib
import signal
import socket
import subprocess

from common import TESTS, Service, free_port, port_is_free, wait_until

# In the namespace: $1 root, $2 data folder, $3 certificates. Devices come from this machine; all mounts are private.
ENTER = """
set -e
mount --bind "$2" "$1/mnt"
mount --bind "$3" "$1/media"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
root=$1
shift 3
exec chroot "$root" /usr/bin/env -i "$@" /usr/lib/rabbitmq/bin/rabbitmq-server
"""

CONFIGURATION = """\
listeners.tcp = none
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = /media/ca.pem
ssl_options.certfile = /media/server.pem
ssl_options.keyfile = /media/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
auth_mechanisms.1 = EXTERNAL
ssl_cert_login_from = common_name
load_definitions = /mnt/definitions.json
log.console = false
log.file.level = info
"""

# For settings: nobody can sign in by certificate.
PLAIN_ONLY = "auth_mechanisms.1 = PLAIN\n"

EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}


def definitions(queues, users, exchanges, permissions):
    """queues: {name: arguments}; exchanges: {name: the queues that each get a copy}; permissions: {user: patterns} of
    those who may not do everything. The cluster's name is set, or the
    broker looks up its own at every connection."""
    return {
        "global_parameters": [{"name": "cluster_name", "value": "forebay-test"}],
        "vhosts": [{"name": "/"}],
        "users": [{"name": name, "password_hash": "", "tags": []} for name in users],
        "permissions": [{"user": name, "vhost": "/", **permissions.get(name, EVERYTHING)} for name in users],
        "queues": [
            {"name": name, "vhost": "/", "durable": True, "auto_delete": False, "arguments": arguments}
            for name, arguments in queues.items()
        ],
        "exchanges": [
            {"name": name, "vhost": "/", "type": "fanout", "durable": True, "auto_delete": False, "arguments": {}}
            for name in exchanges
        ],
        "bindings": [
            {
                "source": name, "vhost": "/", "destination": queue, "destination_type": "queue", "routing_key": "",
                "arguments": {},
            }
            for name, copies in exchanges.items()
            for queue in copies
        ],
    }  # fmt: skip


# Runs the command as the first process of a namespace, and kills all in it with it.
OWN_TREE = ("--mount", "--pid", "--fork", "--kill-child")


def namespace(*kinds):
    """Runs the command that follows as root of namespaces of its own, as unshare(1) makes them."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *kinds, *user]


def root():
    """The root folder to run RabbitMQ in."""
    return subprocess.run([TESTS / "rabbitmq.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Broker(Service):
    """queues: names, or {name: arguments}. users: common names of certificates. exchanges, permissions: see
    definitions(). settings: more lines for rabbitmq.conf."""

    def __init__(
        self, folder, pki, queues, users=("gateway", "consumer"), exchanges=None, permissions=None, settings=""
    ):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pki = pathlib.Path(pki)
        self.port = free_port()
        self.process = None
        ports = {"epmd": free_port(), "dist": free_port()}
        queues = queues if isinstance(queues, dict) else {name: {} for name in queues}
        self._write("definitions.json", json.dumps(definitions(queues, users, exchanges or {}, permissions or {})))
        self.configure(settings)
        self._write("enabled_plugins", "[rabbitmq_auth_mechanism_ssl].\n")
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": "/mnt",
            "RABBITMQ_NODENAME": "rabbit@localhost",
            "RABBITMQ_CONFIG_FILE": "/mnt/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": "/mnt/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": "/mnt/data",
            "RABBITMQ_LOG_BASE": "/mnt",
            "RABBITMQ_PID_FILE": "/mnt/pid",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(ports["dist"]),
            "ERL_EPMD_PORT": str(ports["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
        }

    def configure(self, settings):
        """Takes effect with the next start()."""
        self._write("rabbitmq.conf", CONFIGURATION.format(port=self.port) + settings)

    def _write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")

    def start(self):
        assert self.process is None, "the broker runs already"
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        with open(self.folder / "broker.log", "ab") as log:
            self.process = subprocess.Popen(
                [*namespace(*OWN_TREE), "sh", "-c", ENTER, "broker", root(), self.folder, self.pki, *settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
        wait_until(self._listens, 60, "the broker listens")
        return self

    def _listens(self):
        assert self.process.poll() is None, f"the broker ended; see {self.folder}/broker.log and rabbit@localhost.log"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
            return True
        except OSError:
            return False

    def kill(self):
        """SIGKILL, and wait until its port is free again."""
        process, self.process = self.process, None
        process.kill()
        process.wait(10)
        wait_until(lambda: port_is_free(self.port), 20, "the killed broker's port is free")

    def stop(self):
        """In order: the broker closes its queues and ends by itself. Killed after ten seconds."""
        if self.process is None:
            return
        try:
            os.kill(self._inner_pid(), signal.SIGTERM)
            self.process.wait(10)
            self.process = None
        except (OSError, IndexError, subprocess.TimeoutExpired):
            self.kill()

    def _inner_pid(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text(encoding="ascii").split()[0])

    def control(self, *words, tool="rabbitmqctl"):
        """What RabbitMQ's tool says on this node, read as JSON where it is."""
        settings = [f"{key}={value}" for key, value in self.environment.items()]
        target = ["--target", str(self._inner_pid()), "--mount", "--pid", "--root", "--wd"]
        if os.geteuid() != 0:
            target += ["--user", "--preserve-credentials"]
        said = subprocess.run(
            ["nsenter", *target, "/usr/bin/env", "-i", *settings, f"/usr/lib/rabbitmq/bin/{tool}", "--quiet", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
        )  # fmt: skip
        assert said.returncode == 0, said.stdout
        return json.loads(said.stdout) if "json" in words else said.stdout
