/*
 * A plugin for QEMU's user mode that counts the guest's instructions between two marks.
 *
 * The guest marks with a system call that Linux does not have, MARK(1) before and MARK(0) after what is to be counted.
 * For each pair the plugin writes one line to the file of its argument out=FILE: all instructions that the marking
 * thread executed, and how many of them are dot products (SDOT, UDOT), which older Arm processors lack.
 *
 * Debian ships no qemu-plugin.h, so the part of QEMU's plugin interface (version 1, QEMU 4.2 to 8.2) that is used here
 * is declared here, after QEMU's documentation "QEMU TCG Plugins".
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK 0x4544
#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

typedef void (*translated)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*executed)(unsigned int, void *);
typedef void (*called)(qemu_plugin_id_t, unsigned int, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                       uint64_t, uint64_t, uint64_t);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translated);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, executed, enum qemu_plugin_cb_flags, void *);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, called);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

EXPORT int qemu_plugin_version = 1;

struct block {
    uint64_t instructions, dot_products;
};

static FILE *out;
static bool counting;
static unsigned int thread;
static struct block sum;

/* Arm ARM, C4.1: SDOT and UDOT, of vectors and by element; both bit 29 (U) and bit 30 (Q) are free. */
static bool is_dot_product(uint32_t code)
{
    return (code & 0x9fe0fc00) == 0x0e809400 || (code & 0x9fc0f400) == 0x0f80e000;
}

static void on_execution(unsigned int vcpu, void *data)
{
    const struct block *block = data;
    if (counting && vcpu == thread) {
        sum.instructions += block->instructions;
        sum.dot_products += block->dot_products;
    }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    struct block *block = calloc(1, sizeof *block); /* lives as long as QEMU's own translation: to the end */
    (void)id;
    if (!block) {
        abort();
    }
    block->instructions = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < block->instructions; i++) {
        uint32_t code;
        memcpy(&code, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)), sizeof code);
        block->dot_products += is_dot_product(code);
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_execution, QEMU_PLUGIN_CB_NO_REGS, block);
}

static void on_call(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t begins, uint64_t a2, uint64_t a3,
                    uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != MARK) {
        return;
    }
    counting = begins;
    if (begins) {
        thread = vcpu;
        sum = (struct block){0, 0};
    } else {
        fprintf(out, "%" PRIu64 " %" PRIu64 "\n", sum.instructions, sum.dot_products);
        fflush(out);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0 || !(out = fopen(argv[0] + 4, "w"))) {
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_call);
    return 0;
}
