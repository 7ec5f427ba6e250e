#include "gateway/config/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "gateway/config/report.h"

struct builder {
    yaml_parser_t parser;
    struct config_report *report;
    struct tree_node *root;
    struct tree_node *open[TREE_DEPTH_MAX]; /* the maps and lists around the next event, outermost first */
    struct tree_node *key;                  /* waits for its value, inside the innermost map */
    size_t depth;
    size_t nodes;
    bool ended; /* the one document is complete */
};

void tree_free(struct tree_node *node) {
    while (node != NULL) {
        struct tree_node *next = node->next;
        tree_free(node->first);
        free(node->key);
        free(node);
        node = next;
    }
}

const struct tree_node *tree_get(const struct tree_node *map, const char *key) {
    const struct tree_node *node = map == NULL || map->kind != TREE_MAP ? NULL : map->first;
    while (node != NULL && strcmp(node->key->text, key) != 0)
        node = node->next;
    return node;
}

struct tree_node *tree_new(const struct tree_node *node, const struct tree_node *at) {
    struct tree_node *copy = calloc(1, sizeof *copy + strlen(node->text) + 1);
    if (copy == NULL)
        return NULL;
    copy->kind = node->kind;
    copy->quoted = node->quoted;
    copy->line = at != NULL ? at->line : node->line;
    copy->column = at != NULL ? at->column : node->column;
    memcpy(copy->text, node->text, strlen(node->text));
    if (node->key == NULL)
        return copy;
    copy->key = tree_new(node->key, at);
    if (copy->key != NULL)
        return copy;
    free(copy);
    return NULL;
}

struct tree_node *tree_copy(const struct tree_node *node, const struct tree_node *at) {
    struct tree_node *copy = tree_new(node, at);
    for (const struct tree_node *child = node->first; copy != NULL && child != NULL; child = child->next)
        if (!tree_append(copy, tree_copy(child, at))) {
            tree_free(copy);
            return NULL;
        }
    return copy;
}

bool tree_append(struct tree_node *parent, struct tree_node *node) {
    if (node == NULL)
        return false;
    if (parent->last != NULL)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
    return true;
}

bool tree_empty(const struct tree_node *node) {
    if (node->kind != TREE_TEXT || node->text[0] == '\0')
        return node->kind == TREE_TEXT;
    return !node->quoted && (strcmp(node->text, "~") == 0 || strcasecmp(node->text, "null") == 0);
}

static enum fb_error refuse(struct builder *builder, enum fb_error error, const yaml_mark_t *mark, const char *text) {
    report_add(builder->report, (unsigned)mark->line + 1, (unsigned)mark->column + 1, "%s", text);
    return error;
}

/* libyaml's reader gives the place of a bad character only as a count of bytes. */
static void report_reader_error(struct builder *builder, const char *text, size_t length) {
    const yaml_parser_t *parser = &builder->parser;
    const size_t end = parser->problem_offset < length ? parser->problem_offset : length;
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < end; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    report_add(builder->report, line, column,
               "not a text in UTF-8: %s; save the file as UTF-8 without control characters", parser->problem);
}

static enum fb_error report_parser_error(struct builder *builder, const char *text, size_t length) {
    const yaml_parser_t *parser = &builder->parser;
    const unsigned line = (unsigned)parser->problem_mark.line + 1, column = (unsigned)parser->problem_mark.column + 1;
    const size_t index = parser->problem_mark.index;
    if (parser->error == YAML_MEMORY_ERROR) {
        report_add(builder->report, 0, 0, "out of memory");
        return FB_MEMORY;
    }
    if (parser->error == YAML_READER_ERROR)
        report_reader_error(builder, text, length);
    else if (index < length && text[index] == '\t')
        report_add(builder->report, line, column, "a tab cannot indent here; use spaces");
    else if (parser->context != NULL)
        report_add(builder->report, line, column,
                   "not valid YAML: %s %s that began in line %zu; check colons, quotes, brackets and indentation",
                   parser->problem, parser->context, parser->context_mark.line + 1);
    else
        report_add(builder->report, line, column, "not valid YAML: %s", parser->problem);
    return FB_INVALID;
}

static struct tree_node *new_node(struct builder *builder, enum tree_kind kind, const yaml_mark_t *mark,
                                  const char *text, size_t length) {
    struct tree_node *node = calloc(1, sizeof *node + length + 1);
    if (node == NULL)
        return NULL;
    node->kind = kind;
    node->line = (unsigned)mark->line + 1;
    node->column = (unsigned)mark->column + 1;
    if (length > 0)
        memcpy(node->text, text, length);
    builder->nodes++;
    return node;
}

/* Put the node where it belongs: the root, the next of a list, a key, or a key's value. It then has an owner. */
static void attach(struct builder *builder, struct tree_node *node) {
    struct tree_node *parent = builder->depth == 0 ? NULL : builder->open[builder->depth - 1];
    if (parent == NULL) {
        builder->root = node;
        return;
    }
    node->key = builder->key;
    builder->key = NULL;
    if (parent->last != NULL)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
}

static bool key_expected(const struct builder *builder) {
    return builder->depth > 0 && builder->open[builder->depth - 1]->kind == TREE_MAP && builder->key == NULL;
}

/* Write the place of the innermost open map or list, "instruments[2].tags[0]"; size bytes. */
static void write_place(const struct builder *builder, char *place, size_t size) {
    size_t used = 0;
    place[0] = '\0';
    for (size_t i = 0; i < builder->depth && used < size; i++) {
        const struct tree_node *node = builder->open[i];
        char quote[REPORT_QUOTE_MAX];
        if (node->key != NULL)
            used += (size_t)snprintf(place + used, size - used, "%s%s", used == 0 ? "" : ".",
                                     report_quote(node->key->text, quote));
        else if (i > 0)
            used += (size_t)snprintf(place + used, size - used, "[%zu]", builder->open[i - 1]->count - 1);
    }
}

static enum fb_error take_key(struct builder *builder, struct tree_node *key, const yaml_mark_t *mark) {
    struct tree_node *map = builder->open[builder->depth - 1];
    builder->key = key;
    if (map->count == TREE_KEYS_MAX)
        return refuse(builder, FB_LIMIT, mark, "more than 64 keys in one section");
    if (!key->quoted && strcmp(key->text, "<<") == 0)
        return refuse(builder, FB_INVALID, mark, "merge keys (<<) are not read; write the keys out");
    const struct tree_node *before = tree_get(map, key->text);
    if (before != NULL) {
        char place[FB_CAUSE_MAX / 2], quote[REPORT_QUOTE_MAX];
        write_place(builder, place, sizeof place);
        report_add(builder->report, key->line, key->column, "%s%s%s: was given before, in line %u; remove one", place,
                   place[0] == '\0' ? "" : ".", report_quote(key->text, quote), before->key->line);
    }
    return FB_OK;
}

static enum fb_error on_scalar(struct builder *builder, const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    const size_t length = event->data.scalar.length;
    if (memchr(text, '\0', length) != NULL)
        return refuse(builder, FB_INVALID, &event->start_mark, "a NUL character (\\0) is not allowed");
    struct tree_node *node = new_node(builder, TREE_TEXT, &event->start_mark, text, length);
    if (node == NULL)
        return refuse(builder, FB_MEMORY, &event->start_mark, "out of memory");
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (key_expected(builder))
        return take_key(builder, node, &event->start_mark);
    attach(builder, node);
    return FB_OK;
}

static enum fb_error on_start(struct builder *builder, const yaml_event_t *event) {
    if (key_expected(builder))
        return refuse(builder, FB_INVALID, &event->start_mark, "a key must be a word, not a list or a section");
    if (builder->depth == TREE_DEPTH_MAX)
        return refuse(builder, FB_LIMIT, &event->start_mark, "more than 8 lists or sections inside each other");
    const enum tree_kind kind = event->type == YAML_MAPPING_START_EVENT ? TREE_MAP : TREE_LIST;
    struct tree_node *node = new_node(builder, kind, &event->start_mark, NULL, 0);
    if (node == NULL)
        return refuse(builder, FB_MEMORY, &event->start_mark, "out of memory");
    attach(builder, node);
    builder->open[builder->depth++] = node;
    return FB_OK;
}

static enum fb_error on_end(struct builder *builder, const yaml_event_t *event) {
    (void)event;
    builder->depth--;
    return FB_OK;
}

static enum fb_error on_alias(struct builder *builder, const yaml_event_t *event) {
    return refuse(builder, FB_INVALID, &event->start_mark, "aliases (*) are not read; write the value out");
}

static enum fb_error on_document(struct builder *builder, const yaml_event_t *event) {
    if (builder->root != NULL)
        return refuse(builder, FB_INVALID, &event->start_mark, "a second document begins here; only one is read");
    return FB_OK;
}

static enum fb_error on_stream_end(struct builder *builder, const yaml_event_t *event) {
    (void)event;
    builder->ended = true;
    return FB_OK;
}

static enum fb_error on_nothing(struct builder *builder, const yaml_event_t *event) {
    (void)builder;
    (void)event;
    return FB_OK;
}

static enum fb_error (*const handlers[])(struct builder *builder, const yaml_event_t *event) = {
    [YAML_NO_EVENT] = on_nothing,
    [YAML_STREAM_START_EVENT] = on_nothing,
    [YAML_STREAM_END_EVENT] = on_stream_end,
    [YAML_DOCUMENT_START_EVENT] = on_document,
    [YAML_DOCUMENT_END_EVENT] = on_nothing,
    [YAML_ALIAS_EVENT] = on_alias,
    [YAML_SCALAR_EVENT] = on_scalar,
    [YAML_SEQUENCE_START_EVENT] = on_start,
    [YAML_SEQUENCE_END_EVENT] = on_end,
    [YAML_MAPPING_START_EVENT] = on_start,
    [YAML_MAPPING_END_EVENT] = on_end,
};

/* The three events that can carry them keep them at different places. */
static bool decorated(const yaml_event_t *event) {
    if (event->type == YAML_SCALAR_EVENT)
        return event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL;
    if (event->type == YAML_MAPPING_START_EVENT)
        return event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL;
    return false;
}

static enum fb_error handle(struct builder *builder, const yaml_event_t *event) {
    if (decorated(event))
        return refuse(builder, FB_INVALID, &event->start_mark, "anchors (&) and tags (!) are not read; remove it");
    if (builder->nodes == TREE_NODES_MAX)
        return refuse(builder, FB_LIMIT, &event->start_mark, "more than 200000 keys and values");
    return handlers[event->type](builder, event);
}

static enum fb_error build(struct builder *builder, const char *text, size_t length) {
    while (!builder->ended) {
        yaml_event_t event;
        if (!yaml_parser_parse(&builder->parser, &event))
            return report_parser_error(builder, text, length);
        const enum fb_error error = handle(builder, &event);
        yaml_event_delete(&event);
        if (error != FB_OK)
            return error;
    }
    return FB_OK;
}

static bool begins_line(const char *text, size_t at) {
    /* All that libyaml takes for the end of a line: CR, LF, NEL, LS, PS. */
    static const char *const breaks[] = {"\r", "\n", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        const size_t length = strlen(breaks[i]);
        if (at >= length && memcmp(text + at - length, breaks[i], length) == 0)
            return true;
    }
    return at == 0;
}

/* libyaml compares every %TAG with all before it: a megabyte of them would take it minutes. */
static enum fb_error refuse_directives(const char *text, size_t length, struct config_report *report) {
    unsigned line = 1;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '%' && begins_line(text, i)) {
            report_add(report, line, 1, "a line must not begin with %%: directives are not read");
            return FB_INVALID;
        }
        line += text[i] == '\n' ? 1 : 0;
    }
    return FB_OK;
}

static enum fb_error read_document(const char *text, size_t length, struct builder *builder) {
    if (!yaml_parser_initialize(&builder->parser)) {
        report_add(builder->report, 0, 0, "out of memory");
        return FB_MEMORY;
    }
    yaml_parser_set_encoding(&builder->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder->parser, (const unsigned char *)text, length);
    enum fb_error error = build(builder, text, length);
    yaml_parser_delete(&builder->parser);
    free(builder->key);
    if (error == FB_OK && builder->root == NULL) {
        report_add(builder->report, 1, 1, "the file is empty; it needs the sections gateway, buses and instruments");
        error = FB_INVALID;
    }
    return error;
}

enum fb_error tree_read(const char *text, size_t length, struct tree_node **ret_root, struct config_report *report) {
    static const char mark[] = "\xef\xbb\xbf"; /* the byte order mark that some editors write */
    if (length >= sizeof mark - 1 && memcmp(text, mark, sizeof mark - 1) == 0) {
        text += sizeof mark - 1;
        length -= sizeof mark - 1;
    }
    if (length > CONFIG_BYTES_MAX) {
        report_add(report, 0, 0, "larger than 1 MiB, the most that is read");
        return FB_LIMIT;
    }
    enum fb_error error = refuse_directives(text, length, report);
    if (error != FB_OK)
        return error;
    struct builder builder = {.report = report};
    error = read_document(text, length, &builder);
    if (error == FB_OK)
        *ret_root = builder.root;
    else
        tree_free(builder.root);
    return error;
}
