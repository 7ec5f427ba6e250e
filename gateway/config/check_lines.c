#include "gateway/config/check_lines.h"

#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define LINES(member) CHECK_MEMBER(struct plant_lines, member)
#define TAG(member) CHECK_MEMBER(struct lines_tag, plant.member)

/* What a person writes; "ask" and "end" may hold control characters, which are written anew for plant.h. */
static const struct check_key lines_keys[] = {
    {"kind", CHECK_WORD, LINES(protocol), .wanted = "lines or sdi12", .words = plant_protocol_words},
    {"ask", CHECK_CONTROL_TEXT, LINES(ask)},
    {"end", CHECK_CONTROL_TEXT, LINES(end), .standard = "\\r\\n"},
    {"checksum", CHECK_WORD, LINES(checksum), .standard = "none", .words = plant_checksum_words},
    {"separator", CHECK_TEXT, LINES(separator)},
};
static const struct check_table lines_table = {lines_keys, COUNT(lines_keys)};

static const char *const value_words[] = {"number", "text", NULL};

struct lines_tag {
    struct plant_tag plant;
    unsigned value; /* index of value_words */
};

static const struct check_key tag_keys[] = {
    {"name", CHECK_NAME, TAG(name), .wanted = "a name that no other tag of the instrument has"},
    {"line", CHECK_TEXT, TAG(line)},
    {"type", CHECK_WORD, CHECK_MEMBER(struct lines_tag, value), .standard = "number", .words = value_words},
    {"field", CHECK_NUMBER, TAG(field), .standard = "1", .min = 1, .max = PLANT_LINES_FIELD_MOST},
    {"scale", CHECK_DECIMAL, TAG(scale), .standard = "1"},
    {"offset", CHECK_DECIMAL, TAG(offset), .standard = "0"},
    {"unit", CHECK_TEXT, TAG(unit)},
    {"min", CHECK_REAL, TAG(min)},
    {"max", CHECK_REAL, TAG(max)},
    {"interval", CHECK_DURATION, TAG(interval_ms), .min = PLANT_INTERVAL_MIN_MS, .max = PLANT_INTERVAL_MAX_MS},
};
static const struct check_table tag_table = {tag_keys, COUNT(tag_keys)};

void check_lines(struct check *check, const struct tree_node *map, const char *place, struct plant_lines *ret_lines) {
    struct fb_cause cause;
    const size_t errors = check->report->count;
    check_section(check, &lines_table, map, place, ret_lines);
    if (check->report->count != errors)
        return;
    const struct tree_node *kind = tree_get(map, "kind");
    if (ret_lines->protocol == PLANT_REGISTERS)
        check_fail(check, kind, place,
                   "kind: registers is what an instrument without this section has; allowed are "
                   "lines and sdi12");
    else if (plant_lines_check(ret_lines, &cause) != FB_OK)
        check_fail(check, map, place, "%s", cause.text);
}

void check_lines_tag(struct check *check, const struct tree_node *map, const char *place, struct plant_tag *ret_tag) {
    struct lines_tag tag = {0};
    check_section(check, &tag_table, map, place, &tag);
    *ret_tag = tag.plant;
    ret_tag->table = PLANT_HOLDING;
    ret_tag->type = tag.value == 0 ? PLANT_FLOAT64 : PLANT_TEXT;
    ret_tag->length = tag.value == 0 ? 0 : 1;
    ret_tag->word_order = PLANT_ABCD;
}
