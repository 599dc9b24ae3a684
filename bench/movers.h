/* SPDX-License-Identifier: MIT */
/*
 * movers.h: ways of moving bytes between two sockets (movers_ways.c, movers_ring.c), and one measured run of
 * one way (movers_run.c). See movers.c.
 */
#ifndef BENCH_MOVERS_H
#define BENCH_MOVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a way is given: exactly so many bytes come in at one descriptor and are to leave at the other. */
struct move {
	int from_fd, to_fd; /* borrowed */
	uint64_t bytes;
};

struct mover {
	const char *name;
	const char *what; /* for --help */
	int (*run)(const struct mover *mover,
		   const struct move *move); /* 0 or -errno; -ENODATA: an early end */
	size_t pipe_bytes;
	bool gather;	  /* fill the pipe until nothing more is there, then drain */
	bool nonblocking; /* the state that its sockets must be in */
};

/* NULL behind the last one. */
const struct mover *mover_at(size_t index);

#define COPY_BYTES ((size_t)(256 * 1024))

static inline size_t at_most(uint64_t left, size_t limit)
{
	return left < limit ? (size_t)left : limit;
}

int pipe_open(size_t bytes, int fds[2]);
void pipe_close(const int fds[2]);

int ring_splice(const struct mover *mover, const struct move *move);
int ring_splice_linked(const struct mover *mover, const struct move *move);
int ring_splice_free(const struct mover *mover, const struct move *move);
int ring_recv_send(const struct mover *mover, const struct move *move);

enum leg_kind { LEG_UNIX, LEG_TCP, LEG_KTLS12, LEG_KTLS13 };

struct path {
	const char *name;
	enum leg_kind from, to;
	size_t record_bytes; /* of what a kTLS source sends; 0 when the source is none */
};

struct run_options {
	uint64_t bytes;
	size_t
	    lockstep_bytes; /* the source sends so much, then waits until the sink has it; 0: never waits */
	unsigned stall_s;   /* so long without a byte at the sink is a hang */
	bool check_all;	    /* every byte is compared, not one block in CHECK_EVERY */
	bool pin;	    /* the relay has a processor of its own */
};

/* The worse, the larger. */
enum outcome { OUTCOME_OK, OUTCOME_FAILED, OUTCOME_CUT, OUTCOME_CORRUPT, OUTCOME_HANGS, OUTCOME_COUNT };

struct sample {
	enum outcome outcome;
	int error; /* -errno with OUTCOME_FAILED */
	double elapsed_s;
	double cpu_s; /* user and system time of the relay's process, io-wq threads included */
	uint64_t switches;
};

/* 0, or why this kernel has no such sockets: -errno. */
int path_probe(const struct path *path);
struct sample run_once(const struct path *path, const struct mover *mover, const struct run_options *options);

#endif
