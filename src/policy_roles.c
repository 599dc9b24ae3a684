/* SPDX-License-Identifier: MIT */
/*
 * policy_roles.c: the built-in roles, in the language of the policy file. What they come to, route by route,
 * is in tests/unit/policy_roles.txt.
 *
 * All but admin are looked into (inspect.h): nothing of the host's is mounted, nothing runs privileged.
 *
 * What is not plain:
 *  - read sees command lines, labels and events, of which `docker ps` is made. Services and tasks come with
 *    their environments already in lists, volumes with their options, and `docker top` shows what ps is asked
 *    for: those are read-env's. So is /system/df, whose build cache tells the URLs that builds have fetched,
 *    credentials and all.
 *  - The docker CLI inspects what it shows logs of, and Docker Compose what it lists: so logs and operate see
 *    environments. Who follows logs without the CLI needs no more than `include read` and `allow *-logs`.
 *  - No call scales a service alone: who may scale may update the service, another image included.
 *  - deploy attaches, because `docker compose up` and `docker run` do; it does not exec.
 *  - A registry is asked by the engine, from where it stands: read has no distribution-inspect, image-search.
 */
#include "policy_impl.h"

const char policy_builtin_text[] =
    "# Sees what nobody has to hide: no environments, logs, files, tokens or keys.\n"
    "role read\n"
    "  allow ping version info events\n"
    "  allow container-list container-changes container-stats\n"
    "  allow image-list network-list network-inspect node-list node-inspect\n"

    "# As read, and inspects: environments, arguments and mounts are seen.\n"
    "role read-env\n"
    "  include read\n"
    "  allow container-inspect container-top exec-inspect system-df\n"
    "  allow image-inspect image-history image-attestations volume-list volume-inspect\n"
    "  allow service-list service-inspect task-list task-inspect plugin-list plugin-inspect\n"

    "# Follows logs. The docker CLI inspects what it shows the logs of, environment and all.\n"
    "role logs\n"
    "  include read\n"
    "  allow container-inspect container-logs\n"
    "  allow service-list service-inspect service-logs task-list task-inspect task-logs\n"

    "# Keeps what is there running: start, stop, restart, kill, pause, scale.\n"
    "role operate\n"
    "  include read-env\n"
    "  allow container-start container-stop container-restart container-kill\n"
    "  allow container-pause container-unpause container-wait\n"
    "  allow service-update\n"

    "# docker stack deploy and rm; docker compose up, ps, logs, down.\n"
    "role deploy\n"
    "  include operate\n"
    "  include logs\n"
    "  allow container-create container-rename container-update container-delete\n"
    "  allow container-attach container-resize\n"
    "  allow image-create image-tag distribution-inspect\n"
    "  allow network-create network-connect network-disconnect network-delete\n"
    "  allow volume-create volume-delete\n"
    "  allow service-create service-delete\n"
    "  allow secret-list secret-inspect secret-create secret-update secret-delete\n"
    "  allow config-list config-inspect config-create config-update config-delete\n"

    "# Builds images, classic and BuildKit; pulls, loads, tags and pushes them.\n"
    "role build\n"
    "  allow ping version info auth distribution-inspect\n"
    "  allow build build-cancel build-prune session grpc\n"
    "  allow image-list image-search image-inspect image-history image-attestations\n"
    "  allow image-create image-load image-push image-tag\n"

    "# Traefik's docker and swarm providers.\n"
    "role traefik\n"
    "  allow ping version events\n"
    "  allow container-list container-inspect\n"
    "  allow service-list task-list network-list node-inspect\n"

    "# Portainer without its agent: all that it manages, consoles in containers and the\n"
    "# tokens that managers join with, too: whoever has it can have the host.\n"
    "role portainer\n"
    "  include deploy\n"
    "  allow auth build build-cancel commit\n"
    "  allow image-load image-push image-search image-delete image-prune image-save image-save-many\n"
    "  allow container-prune network-prune volume-prune\n"
    "  allow exec-create exec-start exec-resize\n"
    "  allow swarm-inspect node-update\n"

    "# The SOAJS console: its call list, and the swarm's joining and leaving. It sees the\n"
    "# tokens that managers join with: whoever has it can have the host.\n"
    "role soajs\n"
    "  allow ping version info container-list console-metrics console-maintenance\n"
    "  allow swarm-inspect swarm-join swarm-leave\n"
    "  allow node-list node-inspect node-update node-delete\n"
    "  allow service-list service-inspect service-create service-update service-delete service-logs\n"
    "  allow task-list task-inspect task-logs\n"
    "  allow secret-list secret-inspect secret-create secret-delete\n"
    "  allow network-list network-inspect network-create network-delete\n";
