#include "drivers/driver.h"

#include <assert.h>

static const struct driver *const drivers[] = {&modbus_tcp_driver, &modbus_rtu_driver, &modbus_rtu_tcp_driver,
                                               &line_serial_driver, &line_tcp_driver};

const struct driver *driver_find(enum plant_bus_kind kind) {
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++)
        if (drivers[i]->kind == kind)
            return drivers[i];
    assert(!"every kind of bus has a driver");
    return NULL;
}
