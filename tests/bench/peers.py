"""Other programs doing the same work in the same run: collectd with its modbus plugin, Node-RED with contrib-modbus.
Both only read and write what they read to files; neither has a store that survives a power cut, nor an uplink."""

import contextlib
import json
import pathlib
import signal
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent


def collectd_configuration(folder, ports, registers):
    """Reads each register by itself: the plugin can do no other."""
    data = "\n".join(
        f'<Data "r{i}">\nRegisterBase {i}\nRegisterType Uint16\nRegisterCmd ReadHolding\nType gauge\nInstance "r{i}"\n</Data>'
        for i in range(registers)
    )
    collect = "\n".join(f'Collect "r{i}"' for i in range(registers))
    hosts = "\n".join(
        f'<Host "{name}">\nAddress "127.0.0.1"\nPort "{port}"\nInterval 1\n<Slave 1>\nInstance "one"\n{collect}\n</Slave>\n</Host>'
        for name, port in ports.items()
    )
    text = f"""
Hostname "bench"
FQDNLookup false
BaseDir "{folder}"
PIDFile "{folder}/collectd.pid"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Interval 1
ReadThreads {min(5, len(ports))}
WriteThreads 1
LoadPlugin modbus
LoadPlugin csv
<Plugin csv>
DataDir "{folder}/csv"
</Plugin>
<Plugin modbus>
{data}
{hosts}
</Plugin>
"""
    path = folder / "collectd.conf"
    path.write_text(text)
    return path


@contextlib.contextmanager
def running(folder, command, written):
    """The process id. written: a pattern of the files that grow with every sweep, below folder: a peer that does nothing costs
    little."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=(folder / "log").open("w"), stderr=subprocess.STDOUT)
    try:
        yield process.pid
        log = (folder / "log").read_text()[-2000:]
        assert process.poll() is None, f"{command[0]} has ended: {log}"
        newest = max((path.stat().st_mtime for path in folder.glob(written)), default=0)
        assert time.time() - newest < 30, f"{command[0]} writes nothing: {log}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def collectd(folder, ports, registers):
    """ports: {name: of a Modbus TCP server}. A context; gives the process id."""
    folder.mkdir()
    return running(folder, ["/usr/sbin/collectd", "-f", "-C", str(collectd_configuration(folder, ports, registers))], "csv/**/*-*")


def node_red_flow(folder, ports, registers):
    nodes = [{"id": "tab", "type": "tab", "label": "bench"}]
    for i, (name, port) in enumerate(ports.items()):
        nodes.append({
            "id": f"c{i}", "type": "modbus-client", "name": name, "clienttype": "tcp", "bufferCommands": True,
            "tcpHost": "127.0.0.1", "tcpPort": str(port), "tcpType": "DEFAULT", "unit_id": "1", "commandDelay": "1",
            "clientTimeout": "1000", "reconnectOnTimeout": True, "reconnectTimeout": "2000", "parallelUnitIdsAllowed": True,
        })  # fmt: skip
        nodes.append({
            "id": f"r{i}", "type": "modbus-read", "z": "tab", "name": name, "topic": name, "unitid": "1",
            "dataType": "HoldingRegister", "adr": "0", "quantity": str(registers), "rate": "1", "rateUnit": "s",
            "server": f"c{i}", "emptyMsgOnFail": False, "useIOFile": False, "wires": [["written"], []],
        })  # fmt: skip
    nodes.append({
        "id": "written", "type": "file", "z": "tab", "name": "", "filename": str(folder / "read"), "filenameType": "str",
        "appendNewline": True, "createDir": False, "overwriteFile": "false", "encoding": "none", "wires": [[]],
    })  # fmt: skip
    return nodes


def node_red(folder, ports, registers):
    """As collectd()."""
    words = [HERE.parent / "peers.sh", HERE / "node-red"]
    installed = pathlib.Path(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    folder.mkdir()
    (folder / "flows.json").write_text(json.dumps(node_red_flow(folder, ports, registers)))
    settings = {
        "httpAdminRoot": False, "httpNodeRoot": False, "uiHost": "127.0.0.1", "uiPort": 0,
        "flowFile": "flows.json", "credentialSecret": False, "telemetry": {"enabled": False, "updateNotification": False},
        "nodesDir": [str(installed / "node_modules" / "node-red-contrib-modbus")], "externalModules": {"autoInstall": False},
        "logging": {"console": {"level": "warn", "metrics": False, "audit": False}},
    }  # fmt: skip
    (folder / "settings.js").write_text("module.exports = " + json.dumps(settings))
    program = installed / "node_modules" / "node-red" / "red.js"
    return running(folder, ["node", str(program), "--userDir", str(folder), "--settings", str(folder / "settings.js")], "read")
