/* plant.h - buses, instruments and tags as the plant configured them: what config reads, core numbers and stores, and
 * field polls. Plain data, and its JSON form for the messages PLANT_BUS and PLANT_INSTRUMENT. */
#ifndef FB_COMMON_PLANT_H
#define FB_COMMON_PLANT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"
#include "gateway/common/plant_lines.h"
#include "gateway/common/reading.h"

#define PLANT_NAME_MAX 64  /* bytes with NUL; names are [a-z0-9][a-z0-9-]* */
#define PLANT_UNIT_MAX 24  /* bytes with NUL; UTF-8: "mg/l", "NTU", "°C" */
#define PLANT_PATH_MAX 256 /* bytes with NUL; host names and device paths */

#define PLANT_BUSES_MAX 256
#define PLANT_INSTRUMENTS_MAX 1024
#define PLANT_TAGS_MAX 8192

#define PLANT_INTERVAL_MIN_MS 100
#define PLANT_INTERVAL_MAX_MS (24 * 60 * 60 * 1000)
#define PLANT_TIMEOUT_MIN_MS 10
#define PLANT_TIMEOUT_MAX_MS 30000
#define PLANT_PAUSE_MAX_MS 1000
#define PLANT_RS485_DELAY_MAX_MS 100 /* the most that Linux waits */
#define PLANT_BAUD_MIN 1200
#define PLANT_BAUD_MAX 115200
#define PLANT_REGISTERS_MOST 125 /* Modbus application protocol V1.1b3, section 6.3 */
#define PLANT_RTU_UNIT_MIN 1     /* Modbus over serial line V1.02, section 2.2 */
#define PLANT_RTU_UNIT_MAX 247
#define PLANT_EXPONENT_MOST 12
#define PLANT_NO_VALUE_MAX 4 /* sentinels of one tag */
#define PLANT_TEXT_REGISTERS_MOST 64
#define PLANT_WRITES_MAX 16      /* registers of one instrument that may be written */
#define PLANT_HEARTBEAT_MISSES 3 /* intervals without a change, then the heartbeat has stopped */

/* PLANT_MODBUS_RTU_TCP: RTU frames over a TCP connection to a raw serial server, which only passes bytes on. */
enum plant_bus_kind {
    PLANT_MODBUS_TCP = 0,
    PLANT_MODBUS_RTU = 1,
    PLANT_MODBUS_RTU_TCP = 2,
    PLANT_SERIAL = 3,     /* lines of text over a serial port */
    PLANT_SERIAL_TCP = 4, /* the same over a raw serial server */
};
enum plant_flow { PLANT_FLOW_NONE = 0, PLANT_FLOW_RTSCTS = 1, PLANT_FLOW_XONXOFF = 2 };
enum plant_parity { PLANT_PARITY_NONE = 0, PLANT_PARITY_EVEN = 1, PLANT_PARITY_ODD = 2 };

struct plant_bus {
    char name[PLANT_NAME_MAX];
    enum plant_bus_kind kind;
    char host[PLANT_PATH_MAX];   /* modbus-tcp, modbus-rtu-tcp: address or name */
    uint16_t port;               /* the same */
    char device[PLANT_PATH_MAX]; /* modbus-rtu: the serial port's path */
    uint32_t baud;               /* modbus-rtu, modbus-rtu-tcp (of the line behind): PLANT_BAUD_MIN..PLANT_BAUD_MAX */
    enum plant_parity parity;    /* modbus-rtu */
    uint8_t stop_bits;           /* modbus-rtu: 1 or 2 */
    uint8_t data_bits;           /* serial: 7 or 8 */
    enum plant_flow flow;        /* serial */
    uint8_t rs485;               /* modbus-rtu, serial: 1: the kernel switches the line to sending and back; else 0 */
    uint8_t rs485_rts;           /* index of plant_rs485_rts_words: when its RTS is high */
    uint32_t rs485_delay_before_ms, rs485_delay_after_ms; /* RTS to data and back, 0..PLANT_RS485_DELAY_MAX_MS */
    uint32_t timeout_ms; /* for one reply, PLANT_TIMEOUT_MIN_MS..PLANT_TIMEOUT_MAX_MS */
    uint32_t pause_ms;   /* quiet before each request, 0..PLANT_PAUSE_MAX_MS; on RTU at least 3.5 characters are kept */
};

/* Tables after the Modbus application protocol V1.1b3, section 4.3; read by functions 1, 2, 3, 4. */
enum plant_table { PLANT_COIL = 0, PLANT_DISCRETE = 1, PLANT_INPUT = 2, PLANT_HOLDING = 3 };

enum plant_type {
    PLANT_BIT = 0, /* a coil or discrete input; in register tables: one bit of the register */
    PLANT_INT16,
    PLANT_UINT16,
    PLANT_INT32,
    PLANT_UINT32,
    PLANT_INT64,
    PLANT_UINT64,
    PLANT_FLOAT32,
    PLANT_FLOAT64,
    PLANT_BCD16, /* four decimal digits, the most significant in the highest four bits */
    PLANT_BCD32, /* eight */
    PLANT_TEXT,  /* two characters a register; see text_value.h */
};

/* Order of the bytes A (most significant) B C D as they come on the wire; for 64 bits the same rule over words and
 * bytes: whole word order reversed (CDAB), bytes within each word swapped (BADC), both (DCBA). 16 bits: bytes only.
 * Texts: the registers stand in the order of their addresses always, the bytes within each are swapped or not. */
enum plant_word_order { PLANT_ABCD = 0, PLANT_CDAB, PLANT_BADC, PLANT_DCBA };

/* mantissa x 10^exponent, as written in the configuration: 0.01 is 1 x 10^-2 and stays exact. */
struct plant_decimal {
    int64_t mantissa;
    int8_t exponent; /* -12..12 */
};

/* A register that qualifies a tag's value: same table, read in the same request, its bytes in the tag's order. */
struct plant_status {
    uint16_t address;     /* as on the wire */
    uint16_t fault;       /* any of these bits: bad, instrument fault */
    uint16_t maintenance; /* any of these bits: uncertain, maintenance; both masks 0: the tag has no status */
};

/* A register or bit that speaks for the whole instrument. */
struct plant_watch {
    enum plant_table table;
    uint16_t address;     /* as on the wire */
    uint16_t mask;        /* which of its bits count; 0: there is no such register. 1 in bit tables */
    uint32_t interval_ms; /* PLANT_INTERVAL_MIN_MS..PLANT_INTERVAL_MAX_MS */
};

struct plant_tag {
    uint32_t number; /* given by core for good, 1 and up; 0 before that */
    char name[PLANT_NAME_MAX];
    char unit[PLANT_UNIT_MAX]; /* "" for none */
    enum plant_table table;
    uint16_t address; /* as on the wire: 0-based */
    enum plant_type type;
    enum plant_word_order word_order;
    uint8_t bit_first, bit_count; /* a bit field: these bits of the value, 0 being the lowest; of PLANT_BIT one bit, of
                                     unsigned types of 16 and 32 bits up to all. bit_count 0: all, of PLANT_BIT bit 0 */
    uint8_t length;               /* of PLANT_TEXT: registers, 1..PLANT_TEXT_REGISTERS_MOST; else 0 */
    uint8_t no_value_count;
    uint64_t no_value[PLANT_NO_VALUE_MAX]; /* the whole value's bits that mean "no value": sentinels */
    struct plant_status status;
    struct plant_decimal scale; /* value = raw x scale + offset; {1, 0} and {0, 0} leave raw as it is */
    struct plant_decimal offset;
    bool has_min, has_max;
    double min, max;                  /* in the tag's unit; outside: uncertain, below or above range */
    uint32_t interval_ms;             /* PLANT_INTERVAL_MIN_MS..PLANT_INTERVAL_MAX_MS */
    char line[PLANT_LINES_BEGIN_MAX]; /* of an instrument with lines, whose tags are holding, 0, float64 or text of
                                         length 1, abcd: what the tag's line begins with, ? for any character */
    uint8_t field;                    /* the number's field behind that, 1..PLANT_LINES_FIELD_MOST; else 0 */
};

/* A register or coil that a person may have written, one value at a time, each with a grant of core's (guard.h). See
 * plant_write.h. */
struct plant_write {
    char name[PLANT_NAME_MAX];
    enum plant_table table; /* PLANT_COIL or PLANT_HOLDING */
    uint16_t address;       /* as on the wire */
    enum plant_type type;   /* of a coil PLANT_BIT; of a register int16, uint16, int32, uint32 or float32 */
    enum plant_word_order word_order;
    double min, max; /* values allowed; of a coil 0 and 1 */
};

struct plant_instrument {
    char name[PLANT_NAME_MAX];
    uint16_t bus;                 /* index into plant.buses */
    uint8_t unit;                 /* Modbus unit, 0..255 on TCP, PLANT_RTU_UNIT_MIN..MAX on RTU; SDI-12: 0..9, or the
                                     letter that is the sensor's address */
    uint8_t registers_most;       /* the most registers it answers in one reply, 1..125 */
    struct plant_watch heartbeat; /* must change, or all readings are bad, stale heartbeat */
    struct plant_watch service;   /* while any of its bits is set, good readings are uncertain, maintenance */
    struct plant_lines lines;     /* how it is asked when it has no registers */
    struct plant_write *writes;   /* write_count of them, malloc; none unless the configuration opens some */
    size_t write_count;
    struct plant_tag *tags; /* tag_count of them, malloc */
    size_t tag_count;
};

struct plant {
    struct plant_bus *buses; /* malloc */
    size_t bus_count;
    struct plant_instrument *instruments; /* malloc; in the order of the configuration */
    size_t instrument_count;
};

/* Frees what the plant holds and leaves it empty. */
void plant_done(struct plant *plant);

/* Registers (or bits) of the wire that a value of the type takes: 1, 2 or 4. Not of a text: */
unsigned plant_type_registers(enum plant_type type);
/* Those of the tag, its status apart. */
unsigned plant_tag_registers(const struct plant_tag *tag);

/* True for coils and discrete inputs, whose entries are bits. */
bool plant_table_is_bits(enum plant_table table);

/* True for a bus whose instruments speak in lines of text. */
bool plant_bus_is_lines(enum plant_bus_kind kind);

/* True for a tag with a status register. */
bool plant_tag_has_status(const struct plant_tag *tag);

/* What must be read for a tag, its status register included: wire address of the first, and their number. */
void plant_tag_extent(const struct plant_tag *tag, uint32_t *ret_address, uint32_t *ret_count);

/* FB_INVALID with a cause that says why this tag could not be read, or could not be of this type, from an instrument
 * that answers registers_most registers at once. */
enum fb_error plant_tag_check(const struct plant_tag *tag, unsigned registers_most, struct fb_cause *cause) FB_MUST_USE;

/* What kind of reading the tag gives: bits are booleans; integers stay integers while scale and offset are whole
 * numbers and the type is not uint64; float32 without scale and offset stays 32 bits; texts are texts; all else is
 * 64-bit real. */
enum reading_kind plant_tag_kind(const struct plant_tag *tag);

/* True for [a-z0-9][a-z0-9-]* that fits into PLANT_NAME_MAX. */
bool plant_name_valid(const char *name);

/* The words of the configuration for enum values, in the order of the enums, NULL at the end. */
extern const char *const plant_bus_kind_words[];
extern const char *const plant_parity_words[];
extern const char *const plant_flow_words[];      /* "none", "rtscts", "xonxoff" */
extern const char *const plant_rs485_rts_words[]; /* "on-send", "after-send" */
extern const char *const plant_table_words[];
extern const char *const plant_type_words[];
extern const char *const plant_word_order_words[];

/* The same for one value; NULL when there is none. Static storage. */
const char *plant_bus_kind_word(enum plant_bus_kind kind);      /* "modbus-tcp", "modbus-rtu", "modbus-rtu-tcp" */
const char *plant_parity_word(enum plant_parity parity);        /* "none", "even", "odd" */
const char *plant_table_word(enum plant_table table);           /* "coil", "discrete", "input", "holding" */
const char *plant_type_word(enum plant_type type);              /* "bit", "int16" ... "text" */
const char *plant_word_order_word(enum plant_word_order order); /* "abcd", "cdab", "badc", "dcba" */

/* JSON of one bus: {"name", "kind", "host", "port", "device", "baud", "parity", "stop_bits", "data_bits", "flow",
 * "rs485", "rs485_rts", "rs485_delay_before_ms", "rs485_delay_after_ms", "timeout_ms", "pause_ms"}.
 * New reference, NULL when out of memory. */
json_t *plant_bus_to_json(const struct plant_bus *bus);
/* JSON of one instrument and its tags from first on, count of them: {"name", "bus": NAME, "unit", "registers_most",
 * "heartbeat": null or {"table", "address", "mask", "interval_ms"}, "service": the same, "lines": see plant_lines.h,
 * "writes": see plant_write.h,
 * "tags": [{"number", "name",
 * "unit", "table", "address", "type", "word_order", "bit_first", "bit_count", "length", "no_value": [bits as a signed
 * integer
 * ...], "status": [address, fault, maintenance], "scale": [mantissa, exponent], "offset": [m, e], "min", "max",
 * "interval_ms", "line", "field"}]}. New reference, NULL when out of memory. */
json_t *plant_instrument_to_json(const struct plant *plant, const struct plant_instrument *instrument, size_t first,
                                 size_t count);

/* Add what a message says to the plant: a bus; an instrument, or more tags of one that is there. Every field is
 * required, typed and ranged as above; unknown fields are refused. FB_INVALID or FB_LIMIT leave the plant as it was. */
enum fb_error plant_add_bus_json(struct plant *plant, const json_t *json, struct fb_cause *cause) FB_MUST_USE;
enum fb_error plant_add_instrument_json(struct plant *plant, const json_t *json, struct fb_cause *cause) FB_MUST_USE;

#endif
