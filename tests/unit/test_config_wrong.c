// links: gateway/config/address.c gateway/config/check.c gateway/config/check_bus.c gateway/config/check_commands.c gateway/config/check_instrument.c gateway/config/check_lines.c gateway/config/profile.c gateway/config/check_list.c gateway/config/config.c gateway/config/report.c gateway/config/tree.c gateway/config/value.c gateway/common/error.c gateway/common/command_settings.c gateway/common/file.c gateway/common/json.c gateway/common/plant.c drivers/plan.c gateway/config/check_quality.c gateway/common/plant_lines.c gateway/config/check_trust.c gateway/common/pin.c gateway/common/pkcs11_uri.c gateway/config/check_writes.c gateway/common/plant_write.c gateway/config/check_endpoints.c gateway/common/cloud_profile.c gateway/config/check_cloud.c
/* What a person reads who got a configuration wrong: one document for each way, the place and the words of its first
 * error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/common/file.h"
#include "gateway/config/config.h"

static const struct wrong {
    const char *find; /* in the good configuration, where it stands once; NULL: the document is replace alone */
    const char *replace;
    size_t errors;
    const char *first; /* "line:column: text" */
} wrongs[] = {
    {NULL, "", 1, "1:1: the file is empty; it needs the sections gateway, buses and instruments"},
    {NULL, "# nothing\n", 1, "1:1: the file is empty; it needs the sections gateway, buses and instruments"},
    {NULL, "gateway", 1, "1:1: the file must consist of the sections gateway, store, cloud, page, buses, instruments"},
    {NULL, "- a\n- b\n", 1,
     "1:1: the file must consist of the sections gateway, store, cloud, page, buses, instruments"},
    {NULL, "~\n", 1, "1:1: the file must consist of the sections gateway, store, cloud, page, buses, instruments"},
    {NULL, "a: b\n---\nc: d\n", 1, "2:1: a second document begins here; only one is read"},
    {NULL, "gateway: &x {name: a}\n", 1, "1:10: anchors (&) and tags (!) are not read; remove it"},
    {NULL, "a: {b: c}\nd: *b\n", 1, "2:4: aliases (*) are not read; write the value out"},
    {NULL, "gateway: !!map {}\n", 1, "1:10: anchors (&) and tags (!) are not read; remove it"},
    {NULL, "gateway: {<<: {a: b}}\n", 1, "1:11: merge keys (<<) are not read; write the keys out"},
    {NULL, "{[a]: b}\n", 1, "1:2: a key must be a word, not a list or a section"},
    {NULL, "? {a: b}\n: c\n", 1, "1:3: a key must be a word, not a list or a section"},
    {NULL, "%YAML 1.1\n---\na: b\n", 1, "1:1: a line must not begin with %: directives are not read"},
    {NULL, "a: b\n...\n%TAG ! b\n", 1, "3:1: a line must not begin with %: directives are not read"},
    {NULL, "gateway:\n\tname: a\n", 1, "2:1: a tab cannot indent here; use spaces"},
    {NULL, "gateway: {name: a\n", 1,
     "2:1: not valid YAML: did not find expected ',' or '}' while parsing a flow mapping that began in line 1; check "
     "colons, quotes, brackets and indentation"},
    {NULL, "gateway: 'a\n", 1,
     "2:1: not valid YAML: found unexpected end of stream while scanning a quoted scalar that began in line 1; check "
     "colons, quotes, brackets and indentation"},
    {NULL, "gateway: a: b\n", 1, "1:11: not valid YAML: mapping values are not allowed in this context"},
    {NULL, "a:\n  - b\n c: d\n", 1,
     "3:2: not valid YAML: did not find expected key while parsing a block mapping that began in line 1; check colons, "
     "quotes, brackets and indentation"},
    {NULL, "gateway: caf\351\n", 1,
     "1:13: not a text in UTF-8: incomplete UTF-8 octet sequence; save the file as UTF-8 without control characters"},
    {NULL, "gateway: {name: \001}\n", 1,
     "1:17: not a text in UTF-8: control characters are not allowed; save the file as UTF-8 without control "
     "characters"},
    {NULL, "gateway: {name: \"a\\0b\"}\n", 1, "1:17: a NUL character (\\0) is not allowed"},
    {NULL, "[[[[[[[[[a]]]]]]]]]\n", 1, "1:9: more than 8 lists or sections inside each other"},
    {NULL, "a: 1\n\"a\": 2\nb: {c: 1, c: 2}\n", 8,
     "1:1: a: is not a key of this section; its keys are gateway, store, cloud, page, buses, instruments"},
    {"gateway: {", "getaway: {", 2, "1:1: getaway: is not a key of this section; did you mean gateway?"},
    {"gateway: {", "gateway: {\"\\e[31m\": red, ", 1,
     "1:11: gateway.?[31m: is not a key of this section; its keys are name, data, run"},
    {"plant-north, ", "Plant North, ", 1,
     "1:17: gateway.name: Plant North is not a name; allowed are a-z, 0-9 and -, not - first, at most 63 characters"},
    {"name: plant-north, ", "", 1, "1:1: gateway.name: is missing; give the name the cloud knows this gateway by"},
    {"plant-north", "-north", 1,
     "1:17: gateway.name: -north is not a name; allowed are a-z, 0-9 and -, not - first, at most 63 characters"},
    {"plant-north", "\"\"", 1, "1:17: gateway.name: has no value; give one value"},
    {"data: data", "data: ", 1, "1:36: gateway.data: has no value; give one value"},
    {"data: data", "data: \"a\\nb\"", 1,
     "1:36: gateway.data: has a control character or a line break, which is not allowed"},
    {"/run/forebay-north",
     "/run/rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr", 1,
     "1:47: gateway.run: is 91 bytes long; allowed are at most 90"},
    {"{name: plant-north, data: data, run: /run/forebay-north}", "[plant-north]", 1,
     "1:10: gateway: is a list; allowed is a section of \"key: value\""},
    {"{name: plant-north, data: data, run: /run/forebay-north}", "", 1,
     "1:9: gateway: has no value; give a section of \"key: value\""},
    {"commit_interval: 500ms", "commit_interval: 500", 1,
     "3:20: store.commit_interval: 500 is not a duration like 500ms, 10s, 3min or 1h; allowed are 100ms to 1min"},
    {"500ms", "50ms", 1, "3:20: store.commit_interval: 50ms is out of range; allowed are 100ms to 1min"},
    {"idle_timeout: 30s", "idle_timeout: 1999ms", 1,
     "18:17: cloud.idle_timeout: 1999ms is out of range; allowed are 2s to 10min"},
    {"500ms", "0.5s", 1,
     "3:20: store.commit_interval: 0.5s is not a duration like 500ms, 10s, 3min or 1h; allowed are 100ms to 1min"},
    {"500ms", "500 ms", 1,
     "3:20: store.commit_interval: 500 ms is not a duration like 500ms, 10s, 3min or 1h; allowed are 100ms to 1min"},
    {"500ms", "61s", 1, "3:20: store.commit_interval: 61s is out of range; allowed are 100ms to 1min"},
    {"500ms", "010s", 1,
     "3:20: store.commit_interval: 010s is not a duration like 500ms, 10s, 3min or 1h; allowed are 100ms to 1min"},
    {"500ms", "1e3ms", 1,
     "3:20: store.commit_interval: 1e3ms is not a duration like 500ms, 10s, 3min or 1h; allowed are 100ms to 1min"},
    {"500ms", "99999999999999999999s", 1,
     "3:20: store.commit_interval: 99999999999999999999s is out of range; allowed are 100ms to 1min"},
    {"forward_interval: 20s", "forward_intervall: 20s", 1,
     "4:3: store.forward_intervall: is not a key of this section; did you mean forward_interval?"},
    {"2GB", "15MB", 1, "6:10: store.quota: 15MB is out of range; allowed are 16MB to 16TB"},
    {"2GB", "2GiB", 1, "6:10: store.quota: 2GiB is not a size like 512KB, 64MB or 8GB; allowed are 16MB to 16TB"},
    {"2GB", "2", 1, "6:10: store.quota: 2 is not a size like 512KB, 64MB or 8GB; allowed are 16MB to 16TB"},
    {"2GB", "99999999999TB", 1, "6:10: store.quota: 99999999999TB is out of range; allowed are 16MB to 16TB"},
    {"host: broker.example", "host: broker_.example-", 1,
     "8:9: cloud.host: broker_.example- is neither a host's name nor an IPv4 or IPv6 address"},
    {"host: broker.example", "host: 192.0.2.300", 1,
     "8:9: cloud.host: 192.0.2.300 is neither a host's name nor an IPv4 or IPv6 address"},
    {"host: broker.example", "hots: broker.example", 2,
     "7:1: cloud.host: is missing; give the broker's name, as its certificate has it"},
    {"port: 5672", "port: 0", 1, "9:9: cloud.port: 0 is out of range; allowed are 1 to 65535"},
    {"port: 5672", "port: 65536", 1, "9:9: cloud.port: 65536 is out of range; allowed are 1 to 65535"},
    {"port: 5672", "port: amqps", 1, "9:9: cloud.port: amqps is not a number; allowed are 1 to 65535"},
    {"port: 5672", "port: 0x1628", 1, "9:9: cloud.port: 0x1628 is not a number; allowed are 1 to 65535"},
    {"port: 5672", "port: 05672", 1,
     "9:9: cloud.port: 05672 begins with a zero, which some read as octal; write the number without"},
    {"port: 5672", "port: \"5672\"", 1,
     "9:9: cloud.port: is in quotes, which makes it a text; write the number without"},
    {"port: 5672", "port: -1", 1, "9:9: cloud.port: -1 is out of range; allowed are 1 to 65535"},
    {"port: 5672", "port: 1e3", 1, "9:9: cloud.port: 1e3 is not a number; allowed are 1 to 65535"},
    {"port: 5672", "port: [5672]", 1, "9:9: cloud.port: is a list; allowed is one value"},
    {"port: 5672", "port: {a: b}", 1, "9:9: cloud.port: is a section of \"key: value\"; allowed is one value"},
    {"port: 5672", "port:", 1, "9:8: cloud.port: has no value; give one value"},
    {"port: 5672", "port: null", 1, "9:9: cloud.port: has no value; give one value"},
    {"  address: /exchanges/readings/north\n", "", 1,
     "7:1: cloud.address: is missing; give where batches go, like /queues/readings"},
    {"  ca: pki/ca.pem\n", "", 1,
     "7:1: cloud.ca: is missing; give the PEM file of the authority that signed the broker's certificate"},
    {"window_messages: 128", "window_messages: 2000", 1,
     "14:20: cloud.window_messages: 2000 is out of range; allowed are 1 to 1024"},
    {"512KB", "17MB", 1, "15:17: cloud.window_bytes: 17MB is out of range; allowed are 256KB to 16MB"},
    {"retry_first: 200ms", "retry_first: 10s\n  retry_frist: 1s", 1,
     "20:3: cloud.retry_frist: is not a key of this section; did you mean retry_first?"},
    {"retry_most: 4min", "retry_most: 1s\n  retry_first: 2s", 1,
     "21:3: cloud.retry_first: was given before, in line 19; remove one"},
    {"retry_most: 4min", "retry_most: 4min\n  pin: [sha256:abc]", 1,
     "21:9: cloud.pin[0]: is no pin; give sha256: and the 44 characters of the key's SHA-256 in base64"},
    {"retry_most: 4min", "retry_most: 4min\n  pin: sha256:abc", 1, "21:8: cloud.pin: is one value; allowed is a list"},
    {"retry_most: 4min", "retry_most: 4min\n  pin: []", 1, "21:8: cloud.pin: has 0 entries; allowed are 1 to 8"},
    {"retry_most: 4min", "retry_most: 4min\n  crl: [a, b, c, d, e]", 1,
     "21:8: cloud.crl: has 5 entries; allowed are 1 to 4"},
    {"retry_most: 4min", "retry_most: 4min\n  crl: [a, {b: c}]", 1,
     "21:12: cloud.crl[1]: is a section of \"key: value\"; allowed is one value"},
    {"retry_most: 4min", "retry_most: 4min\n  key_pin_file: pin", 1,
     "21:17: cloud.key_pin_file: is for a key in a token (key: pkcs11:...) only; a key file must have no passphrase"},
    {"key: /secret/gateway.key", "key: pkcs11:object=a", 1,
     "13:8: cloud.key: must end with ?module-path=PATH, the absolute path of the library for this token"},
    {"key: /secret/gateway.key", "key: pkcs11:object=a?pin-value=1&module-path=/m", 1,
     "13:8: cloud.key: must not hold the PIN; put it into a file and name that as key_pin_file"},
    {"retry_most: 4min", "retry_most: 2h", 1, "20:15: cloud.retry_most: 2h is out of range; allowed are 1s to 5min"},
    {"host: broker.example\n  port: 5672", "endpoints: [{host: a.example}, {port: 5671}]", 1,
     "8:34: cloud.endpoints[1].host: is missing; give the broker's name, as its certificate has it"},
    {"port: 5672", "endpoints: [{host: a.example}]", 1,
     "8:9: cloud.host: stands beside endpoints; put it into the first of them"},
    {"host: broker.example\n", "endpoints: [{host: a.example}]\n", 1,
     "9:9: cloud.port: stands beside endpoints; put it into the first of them"},
    {"host: broker.example\n  port: 5672", "endpoints: []", 1,
     "8:14: cloud.endpoints: has 0 entries; allowed are 1 to 8"},
    {"retry_most: 4min", "retry_most: 4min\n  profile: azure", 1,
     "21:12: cloud.profile: azure is unknown; allowed are amqp, azure-iothub, azure-eventhubs"},
    {"readings/north", "readings/{tag}", 1, "10:12: cloud.address: only {gateway} and {kind} may stand in braces"},
    {"readings/north", "readings/{kind}\n  profile: azure-iothub", 1,
     "10:12: cloud.address: {kind} is for the profile amqp only"},
    {"retry_most: 4min", "retry_most: 4min\n  token_key: k", 1,
     "21:14: cloud.token_key: is for the profiles azure-iothub and azure-eventhubs only"},
    {"retry_most: 4min", "retry_most: 4min\n  profile: azure-iothub\n  token_key: k", 1,
     "22:14: cloud.token_key: give either a certificate and its key, or token_key"},
    {"retry_most: 4min", "retry_most: 4min\n  profile: azure-eventhubs", 1,
     "12:16: cloud.certificate: Event Hubs takes no client certificates; give token_key and token_policy"},
    {"  certificate: pki/gateway.pem\n  key: /secret/gateway.key\n", "  profile: azure-eventhubs\n", 1,
     "7:1: cloud.token_key: is missing; give the file with the key of a policy that may send"},
    {"  certificate: pki/gateway.pem\n  key: /secret/gateway.key\n", "  profile: azure-eventhubs\n  token_key: k\n", 1,
     "7:1: cloud.token_policy: is missing; give the name of the policy whose key token_key holds"},
    {"  certificate: pki/gateway.pem\n", "", 1,
     "7:1: cloud.certificate: is missing; give the PEM file of this gateway's certificate"},
    {"  key: /secret/gateway.key\n", "", 1,
     "7:1: cloud.key: is missing; give the PEM file of this gateway's private key"},
    {"retry_most: 4min", "retry_most: 4min\n  token_policy: send", 1,
     "21:17: cloud.token_policy: is for token_key only"},
    {"retry_most: 4min", "retry_most: 4min\n  compression: zstd", 1,
     "21:16: cloud.compression: is for encoding: senml+json only; a batch is compressed already"},
    {"retry_most: 4min", "retry_most: 4min\n  token_life: 5s", 1,
     "21:15: cloud.token_life: 5s is out of range; allowed are 10s to 24h"},
    {"  retry_first: 200ms\n  retry_most: 4min\n", "  retry_first: 10s\n  retry_most: 5s\n", 1,
     "20:15: cloud.retry_most: retry_most must not be shorter than retry_first"},
    {"\"::1\"", "0.0.0.0", 1,
     "22:11: page.listen: 0.0.0.0 is not a loopback address, and the page has no accounts yet; give 127.0.0.1 or ::1"},
    {"\"::1\"", "192.0.2.1", 1,
     "22:11: page.listen: 192.0.2.1 is not a loopback address, and the page has no accounts yet; give 127.0.0.1 or "
     "::1"},
    {"\"::1\"", "localhost", 1,
     "22:11: page.listen: localhost is not a loopback address, and the page has no accounts yet; give 127.0.0.1 or "
     "::1"},
    {"name: line-1\n", "name: hall-1\n", 1,
     "28:11: buses[1].name: hall-1 was given before, in line 27; change one of them"},
    {"kind: modbus-tcp", "kind: modbus_tcp", 1,
     "27:26: buses[0].kind: modbus_tcp is unknown; did you mean modbus-tcp?"},
    {"kind: modbus-tcp", "kind: profibus", 1,
     "27:26: buses[0].kind: profibus is unknown; allowed are modbus-tcp, modbus-rtu, modbus-rtu-tcp, "
     "serial, serial-tcp"},
    {"kind: modbus-tcp, ", "", 1,
     "27:5: buses[0].kind: is missing; give modbus-tcp, modbus-rtu, modbus-rtu-tcp, serial or "
     "serial-tcp"},
    {"    kind: modbus-rtu\n", "", 1,
     "28:5: buses[1].kind: is missing; give modbus-tcp, modbus-rtu, modbus-rtu-tcp, serial or "
     "serial-tcp"},
    {"kind: modbus-tcp", "kind: modbus-rtu-tcp", 2,
     "27:5: buses[0].baud: is missing; give the speed of the line behind the serial server"},
    {"kind: modbus-tcp", "kind: modbus-rtu-tcp, baud: 9601", 2,
     "27:48: buses[0].baud: 9601 is no usual speed; allowed are 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200"},
    {"kind: modbus-tcp", "kind: modbus-rtu-tcp, baud: 9600, parity: even", 2,
     "27:54: buses[0].parity: is for kind modbus-rtu: the serial server has its own settings of the line; remove it"},
    {"300003, type: uint16", "300003, type: uint16, bits: 12..16", 1,
     "58:60: instruments[0].tags[4].bits: 12..16 is not a bit or a range of bits like 4..7; allowed are 0 to 15"},
    {"300003, type: uint16", "300003, type: uint16, bits: 7..4", 1,
     "58:60: instruments[0].tags[4].bits: 7..4 is not a bit or a range of bits like 4..7; allowed are 0 to 15"},
    {"300003, type: uint16", "300003, type: int16, bits: 0..3", 1,
     "58:9: instruments[0].tags[4]: bits: only a register of type bit, uint16 or uint32 has bits to choose from"},
    {"300003, type: uint16", "300003, type: bit, bits: 0..3", 1,
     "58:9: instruments[0].tags[4]: bits: a bit is one bit; give one, or type uint16"},
    {"10002, type: bit", "10002, type: bit, bits: 1", 1,
     "57:9: instruments[0].tags[3]: bits: only a register of type bit, uint16 or uint32 has bits to choose from"},
    {"300003, type: uint16", "300003, type: uint16, no_value: 0xFFFF", 1,
     "58:64: instruments[0].tags[4].no_value: is one value; allowed is a list"},
    {"300003, type: uint16", "300003, type: uint16, no_value: [0x10000]", 1,
     "58:64: instruments[0].tags[4].no_value: 0x10000 is not a number of bits; allowed are 0 to 65535, or 0x0 to "
     "0xffff"},
    {"300003, type: uint16", "300003, type: uint16, no_value: [1, 2, 3, 4, 5]", 1,
     "58:64: instruments[0].tags[4].no_value: has 5 entries; allowed are at most 4"},
    {"300003, type: uint16", "300003, type: uint16, status: {address: 300004}", 1,
     "58:62: instruments[0].tags[4].status: says nothing; give fault, maintenance or both, like fault: 0x0001"},
    {"300003, type: uint16", "300003, type: uint16, status: {address: 400004, fault: 1}", 1,
     "58:72: instruments[0].tags[4].status.address: is of another table than the value; both must be read at once"},
    {"300003, type: uint16", "300003, type: uint16, status: {address: 300104, fault: 1}", 1,
     "58:9: instruments[0].tags[4]: status: value and status lie 102 registers apart, but the instrument sends 100 at "
     "once"},
    {"300003, type: uint16", "300003, type: uint16, status: {address: 300004, fault: 0}", 1,
     "58:87: instruments[0].tags[4].status.fault: selects no bit; give the bits that count, like 0x0001"},
    {"10002, type: bit", "10002, type: bit, status: {address: 10003, fault: 1}", 1,
     "57:9: instruments[0].tags[3]: status: is for values in registers"},
    {"registers_most: 100", "heartbeat: {interval: 1s}", 1,
     "40:5: instruments[0].heartbeat.address: is missing; give the register's address as the manual has it"},
    {"registers_most: 100", "service: {address: 40009}", 1,
     "40:14: instruments[0].service.mask: is missing; give the bits that are set while it is serviced, like 0x0001"},
    {"registers_most: 100", "service: {address: 10009, mask: 1}", 1,
     "40:37: instruments[0].service.mask: is for registers, and this table holds bits; remove it"},
    {"registers_most: 100", "heartbeat: {address: 40009, table: input}", 1,
     "40:40: instruments[0].heartbeat.table: does not fit the address, which names another table; correct one of "
     "them"},
    {"port: 1502", "baud: 9600", 1,
     "27:56: buses[0].baud: is for kind modbus-rtu, and this bus is modbus-tcp; remove it"},
    {"    stop_bits: 2", "    port: 502", 1,
     "33:5: buses[1].port: is for kind modbus-tcp, and this bus is modbus-rtu; remove it"},
    {"baud: 19200", "baud: 19200bps", 1, "31:11: buses[1].baud: 19200bps is not a number; allowed are 1200 to 115200"},
    {"baud: 19200", "baud: 9601", 1,
     "31:11: buses[1].baud: 9601 is no usual speed; allowed are 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200"},
    {"baud: 19200", "baud: 300", 1, "31:11: buses[1].baud: 300 is out of range; allowed are 1200 to 115200"},
    {"    baud: 19200\n", "", 1, "28:5: buses[1].baud: is missing; give the speed the instruments are set to"},
    {"parity: even", "parity: Even", 1, "32:13: buses[1].parity: Even is unknown; did you mean even?"},
    {"parity: even", "parity: mark", 1, "32:13: buses[1].parity: mark is unknown; allowed are none, even, odd"},
    {"stop_bits: 2", "stop_bits: 3", 1, "33:16: buses[1].stop_bits: 3 is out of range; allowed are 1 to 2"},
    {"timeout: 250ms", "timeout: 5ms", 1, "27:77: buses[0].timeout: 5ms is out of range; allowed are 10ms to 30s"},
    {"pause: 3ms", "pause: 2s", 1, "27:91: buses[0].pause: 2s is out of range; allowed are 0ms to 1s"},
    {"  - {name: hall-1, kind: modbus-tcp, host: 192.0.2.20, port: 1502, timeout: 250ms, pause: 3ms}\n", "  - hall-1\n",
     1, "27:5: buses[0]: is one value; allowed is a section of \"key: value\""},
    {"bus: line-1", "bus: line-2", 1, "38:10: instruments[0].bus: line-2 is no bus of this file; did you mean line-1?"},
    {"bus: line-1", "bus: x", 1, "38:10: instruments[0].bus: x is no bus of this file; its buses are hall-1, line-1"},
    {"name: blower", "name: turbidity-1", 1,
     "59:11: instruments[1].name: turbidity-1 was given before, in line 37; change one of them"},
    {"unit: 7", "unit: 248", 1,
     "39:11: instruments[0].unit: 248 is out of range on a modbus-rtu bus; allowed are 1 to 247"},
    {"unit: 7", "unit: 0", 1,
     "39:11: instruments[0].unit: 0 is out of range on a modbus-rtu bus; allowed are 1 to 247"},
    {"unit: 255", "unit: 256", 1, "61:11: instruments[1].unit: 256 is out of range; allowed are 0 to 255"},
    {"registers_most: 100", "registers_most: 126", 1,
     "40:21: instruments[0].registers_most: 126 is out of range; allowed are 1 to 125"},
    {"registers_most: 100", "registers_most: 1", 1,
     "45:49: instruments[0].tags[0].type: float32 takes 2 registers, more than the instrument's registers_most of 1; "
     "correct one"},
    {"    addresses: 4xxxx\n", "", 1,
     "37:5: instruments[0].addresses: is missing; give how its manual counts: base-0, base-1 or 4xxxx"},
    {"addresses: 4xxxx", "addresses: base-2", 1,
     "41:16: instruments[0].addresses: base-2 is unknown; did you mean base-0?"},
    {"word_order: cdab", "word_order: big", 1,
     "42:17: instruments[0].word_order: big is unknown; allowed are abcd, cdab, badc, dcba"},
    {"    word_order: cdab\n", "", 1,
     "44:9: instruments[0].tags[0].word_order: is missing and differs between instruments; give abcd, cdab, badc or "
     "dcba here, or once for the instrument"},
    {"    interval: 2s\n", "", 4,
     "44:9: instruments[0].tags[0].interval: is missing; give it here, or once for the instrument"},
    {"interval: 2s", "interval: 10ms", 1,
     "43:15: instruments[0].interval: 10ms is out of range; allowed are 100ms to 24h"},
    {"name: flow", "name: turbidity", 1,
     "46:15: instruments[0].tags[1].name: turbidity was given before, in line 45; change one of them"},
    {"address: 40001", "address: 4001", 1,
     "45:36: instruments[0].tags[0].address: 4001 is not an address of five or six digits, like 40001 or 400001"},
    {"address: 40001", "address: 20001", 1,
     "45:36: instruments[0].tags[0].address: 20001 names no table; the first digit must be 0 (coil), 1 (discrete), 3 "
     "(input) or 4 (holding)"},
    {"address: 40001", "address: 40000", 1,
     "45:36: instruments[0].tags[0].address: 40000 is out of range; behind the first digit allowed are 1 to 65536"},
    {"address: 40001", "address: 465537", 1,
     "45:36: instruments[0].tags[0].address: 465537 is out of range; behind the first digit allowed are 1 to 65536"},
    {"address: 40001", "address: 465536", 1,
     "45:36: instruments[0].tags[0].address: float32 takes 2 registers, which run past the table's last; correct the "
     "address or the type"},
    {"address: 40001", "address: 10001", 1,
     "45:49: instruments[0].tags[0].type: float32 does not fit into table discrete, whose entries are bits; give type "
     "bit, or another address"},
    {"address: 40001", "address: forty", 1,
     "45:36: instruments[0].tags[0].address: forty is not an address of five or six digits, like 40001 or 400001"},
    {"table: holding", "table: input", 1,
     "47:16: instruments[0].tags[1].table: is input, but address 465536 is of table holding; correct one of them"},
    {"table: holding", "table: registers", 1,
     "47:16: instruments[0].tags[1].table: registers is unknown; allowed are coil, discrete, input, holding"},
    {"address: 1,", "address: 0,", 1,
     "64:46: instruments[1].tags[0].address: 0 is out of range; allowed are 1 to 65536"},
    {"address: 1,", "address: 65534,", 1,
     "64:46: instruments[1].tags[0].address: uint64 takes 4 registers, which run past the table's last; correct the "
     "address or the type"},
    {"address: 1,", "address: 65537,", 1,
     "64:46: instruments[1].tags[0].address: 65537 is out of range; allowed are 1 to 65536"},
    {"table: input, ", "table: coil, ", 1,
     "64:54: instruments[1].tags[0].type: uint64 does not fit into table coil, whose entries are bits; give type bit, "
     "or another table"},
    {"type: uint64", "type: uint46", 1, "64:55: instruments[1].tags[0].type: uint46 is unknown; did you mean uint16?"},
    {"type: uint64", "type: real", 1,
     "64:55: instruments[1].tags[0].type: real is unknown; allowed are bit, int16, uint16, int32, uint32, int64, "
     "uint64, float32, float64, bcd16, ..."},
    {", type: uint64", "", 1,
     "64:9: instruments[1].tags[0].type: is missing; give what the registers hold: bit, int16, uint16, float32 ..."},
    {"scale: 0.01", "scale: 0", 1,
     "50:16: instruments[0].tags[1].scale: 0 would make all values the same; give another or remove it"},
    {"scale: 0.01", "scale: 1/100", 1,
     "50:16: instruments[0].tags[1].scale: 1/100 is not a number; write it like 12, -0.5 or 1e-3"},
    {"scale: 0.01", "scale: 1e999", 1,
     "50:16: instruments[0].tags[1].scale: 1e999 has too many digits; allowed are 15, at most 12 of them after the "
     "point"},
    {"scale: 0.01", "scale: 1e10", 1,
     "50:16: instruments[0].tags[1].scale: is too large; allowed are -1000000000 to 1000000000"},
    {"scale: 0.01", "scale: .5", 1,
     "50:16: instruments[0].tags[1].scale: .5 is not a number; write it like 12, -0.5 or 1e-3"},
    {"scale: 0.01", "scale: 0,01", 1,
     "50:16: instruments[0].tags[1].scale: 0,01 is not a number; write it like 12, -0.5 or 1e-3"},
    {"scale: 0.01", "scale: 1234567890123456", 1,
     "50:16: instruments[0].tags[1].scale: 1234567890123456 has too many digits; allowed are 15, at most 12 of them "
     "after the point"},
    {"scale: 0.01", "scale: 1e-13", 1,
     "50:16: instruments[0].tags[1].scale: 1e-13 has too many digits; allowed are 15, at most 12 of them after the "
     "point"},
    {"scale: 0.01", "scale: .nan", 1,
     "50:16: instruments[0].tags[1].scale: .nan is not a number; write it like 12, -0.5 or 1e-3"},
    {"scale: 0.01", "scale: '0.01'", 1,
     "50:16: instruments[0].tags[1].scale: is in quotes, which makes it a text; write the number without"},
    {"type: int16\n        scale", "type: bit\n        scale", 4,
     "50:16: instruments[0].tags[1].scale: is for numbers, and this tag is a bit; remove it"},
    {"unit: m\302\263/h", "unit: cubic metres in each hour", 1,
     "52:15: instruments[0].tags[1].unit: is 25 bytes long; allowed are at most 23"},
    {"max: 1e3", "max: -2", 1, "55:14: instruments[0].tags[1].max: must be above min"},
    {"min: -1.5", "min: low", 1,
     "54:14: instruments[0].tags[1].min: low is not a number; write it like 12, -0.5 or 1e-3"},
    {"interval: 100ms", "interval: 25h", 1,
     "65:62: instruments[1].tags[1].interval: 25h is out of range; allowed are 100ms to 24h"},
    {"interval: 100ms", "intervall: 100ms", 1,
     "65:52: instruments[1].tags[1].intervall: is not a key of this section; did you mean interval?"},
    {"addresses: base-1\n    tags:\n", "addresses: base-1\n    tags: []\n    old:\n", 2,
     "63:11: instruments[1].tags: has 0 entries; allowed are 1 to 8192"},
    {"bus: hall-1\n    unit: 255", "bus: hall-1\n    unit: 255\n    unit: 254", 1,
     "62:5: instruments[1].unit: was given before, in line 61; remove one"},
    {"baud: 19200\n    parity: even\n    stop_bits: 2\n    timeout: 1s\n    pause: 10ms",
     "baud: 1200\n    parity: even\n    pause: 990ms", 1,
     "28:5: buses[1]: line-1 would have to be busy 245 % of the time; make intervals longer, the bus faster, or move "
     "instruments to another bus"},
};

static char *good;
static size_t good_length;

static int read_good(void **state) {
    (void)state;
    struct fb_cause cause;
    return file_read("tests/data/config/good.yaml", CONFIG_BYTES_MAX, &good, &good_length, &cause) == FB_OK ? 0 : -1;
}

static int free_good(void **state) {
    (void)state;
    free(good);
    return 0;
}

/* The good configuration with one thing replaced; free() it. */
static char *make_document(const struct wrong *wrong) {
    char *document;
    if (wrong->find == NULL)
        return strdup(wrong->replace);
    const char *at = strstr(good, wrong->find);
    assert_non_null(at);
    assert_null(strstr(at + 1, wrong->find));
    assert_true(asprintf(&document, "%.*s%s%s", (int)(at - good), good, wrong->replace, at + strlen(wrong->find)) > 0);
    return document;
}

static void each_wrong_document_gets_its_place_and_remedy(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        FB_CLEANUP(file_free) char *document = make_document(&wrongs[i]);
        struct config config;
        struct config_report report = {.file = "good.yaml"};
        const enum fb_error error = config_parse(document, strlen(document), "/folder", &config, &report);
        assert_true(error == FB_INVALID || error == FB_LIMIT);
        char first[FB_CAUSE_MAX + 32];
        snprintf(first, sizeof first, "%u:%u: %s", report.errors[0].line, report.errors[0].column,
                 report.errors[0].text);
        assert_string_equal(first, wrongs[i].first);
        assert_int_equal(report.count, wrongs[i].errors);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wrong_document_gets_its_place_and_remedy),
    };
    return cmocka_run_group_tests(tests, read_good, free_good);
}
