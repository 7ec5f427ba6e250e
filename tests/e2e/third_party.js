// The servers of modbus-serial and jsmodbus as instruments: Modbus TCP, and RTU on a serial port.
// Usage: node third_party.js FOLDER '{"modbus-serial": PORT, "jsmodbus": PORT}'
// FOLDER: where tests/peers.sh has installed them. Prints {"modbus-serial": TCP port, "jsmodbus": TCP port} when all are
// ready, and serves until its standard input ends. modbus-serial refuses addresses that it has not; jsmodbus sends a
// reply that is too short.
"use strict";

const net = require("node:net");
const path = require("node:path");

const [folder, ports] = [process.argv[2], JSON.parse(process.argv[3])];
const load = (name) => require(path.join(folder, "node_modules", name));
const ModbusRTU = load("modbus-serial");
const jsmodbus = load("jsmodbus");
const { SerialPort } = load("serialport");

const ILLEGAL_ADDRESS = 2;
const BAUD = 115200;
const REGISTERS = Array.from({ length: 200 }, (_, i) => (7 * i) & 0xffff);
const BITS = Array.from({ length: 64 }, (_, i) => i % 3 === 0);

const opened = (emitter, event) => new Promise((done, failed) => emitter.once(event, done).once("error", failed));

// modbus-serial takes port 0 for 502.
async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await opened(server, "listening");
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

function take(table) {
  return (address) => {
    if (address >= table.length) throw Object.assign(new Error("no such address"), { modbusErrorCode: ILLEGAL_ADDRESS });
    return table[address];
  };
}

async function startModbusSerial() {
  const vector = {
    getHoldingRegister: take(REGISTERS), getInputRegister: take(REGISTERS), getCoil: take(BITS), getDiscreteInput: take(BITS),
  };
  const port = await freePort();
  const tcp = new ModbusRTU.ServerTCP(vector, { host: "127.0.0.1", port });
  const serial = new ModbusRTU.ServerSerial(vector, { port: ports["modbus-serial"], baudRate: BAUD, interval: 5 });
  await Promise.all([opened(tcp, "initialized"), opened(serial, "initialized")]);
  return port;
}

function tables() {
  const holding = Buffer.alloc(2 * REGISTERS.length);
  REGISTERS.forEach((value, i) => holding.writeUInt16BE(value, 2 * i));
  const coils = Buffer.alloc(BITS.length / 8);
  BITS.forEach((bit, i) => { coils[i >> 3] |= bit << (i & 7); });
  return { holding, input: holding, coils, discrete: coils };
}

async function startJsmodbus() {
  const server = net.createServer();
  new jsmodbus.server.TCP(server, tables());
  const serial = new SerialPort({ path: ports.jsmodbus, baudRate: BAUD });
  new jsmodbus.server.RTU(serial, tables());
  server.listen(0, "127.0.0.1");
  await Promise.all([opened(server, "listening"), opened(serial, "open")]);
  return server.address().port;
}

async function main() {
  const where = { "modbus-serial": await startModbusSerial(), jsmodbus: await startJsmodbus() };
  console.log(JSON.stringify(where));
  process.stdin.on("end", () => process.exit(0)).resume();
}

main();
