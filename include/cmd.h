/* SPDX-License-Identifier: MIT */
/*
 * cmd.h: the commands. Each returns the exit code: 0, 1 when something failed while running, 2 when it
 * could not start (options, files, addresses), as Docker and most of Unix do. argv[0] is the command's
 * name. Layer 5.
 */
#ifndef HEADGATE_CMD_H
#define HEADGATE_CMD_H

#define EXIT_USAGE 2

int cmd_serve(int argc, char **argv);
int cmd_connect(int argc, char **argv);
int cmd_token(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_health(int argc, char **argv);

#endif
