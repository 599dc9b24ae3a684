/* SPDX-License-Identifier: MIT */
/* (long: tables of bodies, a row each, judged by the same few lines) */
#include "inspect_support.h"

TestSuite(inspect, .timeout = 300);

enum who {
	NONE,
	PRIVILEGED,
	NAMESPACES,
	PATHS,	/* mounts, devices, capabilities */
	SOCKET, /* the root of the file system, and docker.sock by name */
	IMAGES,
	ANY,
};

static struct inspect_limits limits_of(enum who who)
{
	static char *paths[] = {"/srv/data", "/mnt/"}, *root[] = {"/", "/var/run/docker.sock"},
		    *devices[] = {"/dev/fuse", "/dev/snd"}, *capabilities[] = {"SYS_PTRACE", "cap_net_admin"},
		    *images[] = {"nginx", "mycorp/", "registry:5000/ci/", "ghcr.io/a/b:1"};
	struct inspect_limits limits = {0};

	if (who == PRIVILEGED)
		limits.privileged = true;
	if (who == NAMESPACES)
		limits.host_namespaces = true;
	if (who == PATHS) {
		limits.mounts = (struct inspect_words){paths, ARRAY_SIZE(paths)};
		limits.devices = (struct inspect_words){devices, ARRAY_SIZE(devices)};
		limits.capabilities = (struct inspect_words){capabilities, ARRAY_SIZE(capabilities)};
	}
	if (who == SOCKET)
		limits.mounts = (struct inspect_words){root, ARRAY_SIZE(root)};
	if (who == IMAGES)
		limits.images = (struct inspect_words){images, ARRAY_SIZE(images)};
	limits.any = who == ANY;
	return limits;
}

#define CREATE	 "container-create"
#define HOST(x)	 "{\"Image\":\"a\",\"HostConfig\":{" x "}}"
#define TASK(x)	 "{\"Name\":\"s\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"a\"," x "}}}"
#define MOUNT(x) "\"Mounts\":[{" x "}]"
#define OPTIONS(x)                                                                                        \
	MOUNT("\"Type\":\"volume\",\"Source\":\"v\",\"VolumeOptions\":{\"DriverConfig\":{\"Options\":{" x \
	      "}}}")
#define NETWORK_OPTION(x) "{\"Name\":\"n\",\"Options\":{\"" x "\":\"true\"}}"
#define PORTS(x)	  "{\"Name\":\"web\",\"EndpointSpec\":{\"Ports\":[" x "]}}"
#define SUBNET(x)	  "{\"Name\":\"n\",\"IPAM\":{\"Config\":[{\"Subnet\":\"" x "\"}]}}"
#define TMPFS(x)	  MOUNT("\"Type\":\"tmpfs\",\"Target\":\"/a\",\"TmpfsOptions\":{\"Options\":" x "}")

/* 0: accepted; E: what is asked for is refused; B: cannot be read. */
#define E (-EACCES)
#define B (-EBADMSG)

static const struct row {
	const char *route;
	enum who who;
	int wanted;
	const char *body;
} rows[] = {
    {CREATE, NONE, 0, HOST("")},
    {CREATE, NONE, E, HOST("\"Privileged\":true")},
    {CREATE, PRIVILEGED, 0, HOST("\"Privileged\":true")},
    {CREATE, ANY, 0, HOST("\"Privileged\":true")},
    {CREATE, NONE, 0, HOST("\"Privileged\":null")},
    /* The spellings that Go takes: case, U+017F, U+212A, escapes. */
    {CREATE, NONE, E, "{\"hOSTcONFIG\":{\"pRIVILEGED\":true}}"},
    {CREATE, NONE, E, "{\"Ho\xc5\xbftConfig\":{\"Privileged\":true}}"},
    {CREATE, NONE, E, "{\"\\u0048o\\u017ftConfig\":{\"Privile\\u0067ed\":true}}"},
    {CREATE, NONE, E,
     "{\"HostConfig\":{\"Ma\xc5\xbf\xe2\x84\xaa"
     "edPaths\":[]}}"},
    /* Engines up to 24 read HostConfig's fields beside it. */
    {CREATE, NONE, E, "{\"Privileged\":true}"},
    {CREATE, NONE, E, "{\"Binds\":[\"/:/x\"]}"},
    {CREATE, NONE, 0, "{\"Memory\":1,\"CpuShares\":2,\"Cpuset\":\"0\"}"},
    /* Two keys that mean one. */
    {CREATE, NONE, B, "{\"HostConfig\":{},\"HostConfig\":{}}"},
    {CREATE, NONE, B, "{\"HostConfig\":{},\"hostconfig\":{}}"},
    {CREATE, NONE, B, HOST("\"Privileged\":false,\"privileged\":false")},
    {CREATE, NONE, B, HOST("\"CapAdd\":null,\"\\u0043apAdd\":null")},
    {CREATE, NONE, B, "{\"Ma\xc5\xbf\":1,\"mas\":1}"},
    {CREATE, PRIVILEGED, B, "{\"Labels\":{\"a\":\"\",\"A\":\"\"}}"},
    /* Unknown fields. */
    {CREATE, NONE, E, "{\"Podman\":1}"},
    {CREATE, PRIVILEGED, E, HOST("\"NewThing\":null")},
    {CREATE, NONE, E, HOST("\"\":1")},
    /* Types. */
    {CREATE, NONE, B, "[]"},
    {CREATE, NONE, B, "null"},
    {CREATE, NONE, B, "{\"HostConfig\":[]}"},
    {CREATE, NONE, B, "{\"HostConfig\":\"x\"}"},
    {CREATE, NONE, 0, "{\"HostConfig\":null}"},
    {CREATE, NONE, B, HOST("\"Binds\":{}")},
    {CREATE, NONE, B, HOST("\"Binds\":[1]")},
    {CREATE, NONE, B, HOST("\"Mounts\":[null]")},
    {CREATE, NONE, B, HOST("\"PidMode\":[\"host\"]")},
    {CREATE, NONE, E, HOST("\"Privileged\":\"true\"")},
    /* JSON itself. */
    {CREATE, NONE, B, ""},
    {CREATE, NONE, B, " "},
    {CREATE, NONE, B, "{}{}"},
    {CREATE, NONE, B, "{} x"},
    {CREATE, NONE, 0, " {} \r\n"},
    {CREATE, NONE, B, "\xef\xbb\xbf{}"},
    {CREATE, NONE, B, "{\"a"},
    {CREATE, NONE, B, "{'a':1}"},
    {CREATE, NONE, B, "{\"Image\":\"a\",}"},
    {CREATE, NONE, B, "{\"Image\":\"a\xff\"}"},
    {CREATE, NONE, B, "{\"Image\":\"\\ud800\"}"},
    {CREATE, NONE, B, "{\"Image\":\"\\u0000\"}"},
    {CREATE, NONE, B, "{\"Ima\\u0000ge\":\"\"}"},
    {CREATE, NONE, B, "{\"Image\":\"a\nb\"}"},
    {CREATE, NONE, B, "{\"Memory\":01}"},
    {CREATE, NONE, B, "{\"Memory\":99999999999999999999}"},
    {CREATE, NONE, B, "{\"Memory\":1e999}"},
    {CREATE, NONE, B, "{\"Memory\":NaN}"},
    {CREATE, NONE, B, "{\"Image\":\"a\"}/* */"},
    /* Binds. */
    {CREATE, NONE, 0, HOST("\"Binds\":[\"vol:/data\",\"vol.1:/data:ro\",\"/anonymous\"]")},
    {CREATE, NONE, E, HOST("\"Binds\":[\"/srv/data:/data\"]")},
    {CREATE, NONE, E, HOST("\"Binds\":[\"vol:/d\",\"/:/data:ro\"]")},
    {CREATE, NONE, E, HOST("\"Binds\":[\"./x:/data\"]")},
    {CREATE, NONE, E, HOST("\"Binds\":[\"~/x:/data\"]")},
    {CREATE, NONE, E, HOST("\"Binds\":[\"C:\\\\:/data\"]")},
    {CREATE, NONE, B, HOST("\"Binds\":[\":/data\"]")},
    {CREATE, PATHS, 0, HOST("\"Binds\":[\"/srv/data:/x\",\"/srv/data/a//b/./c:/y:ro,rslave\",\"/mnt:/z\"]")},
    {CREATE, PATHS, E, HOST("\"Binds\":[\"/srv/data/../../etc:/x\"]")},
    {CREATE, PATHS, E, HOST("\"Binds\":[\"/srv/data/..:/x\"]")},
    {CREATE, PATHS, E, HOST("\"Binds\":[\"/srv/data2:/x\"]")},
    {CREATE, PATHS, E, HOST("\"Binds\":[\"/srv/dat:/x\"]")},
    {CREATE, PATHS, E, HOST("\"Binds\":[\"/srv:/x\"]")},
    {CREATE, PATHS, E, HOST("\"Binds\":[\"/SRV/DATA:/x\"]")},
    {CREATE, PATHS, E, HOST("\"Binds\":[\"/srv/data/docker.sock:/x\"]")},
    {CREATE, PATHS, E, HOST("\"Binds\":[\"/srv/data:/x:rshared\"]")},
    {CREATE, SOCKET, 0,
     HOST("\"Binds\":[\"/var/run/docker.sock:/x\",\"/run/docker.sock:/y\",\"/:/z\",\"/var:/v\"]")},
    {CREATE, SOCKET, E, HOST("\"Binds\":[\"/run/containerd/containerd.sock:/x\"]")},
    {CREATE, NONE, E, HOST("\"Binds\":\"/:/x\"")},
    /* Mounts. */
    {CREATE, NONE, 0, HOST(MOUNT("\"Type\":\"volume\",\"Source\":\"v\",\"Target\":\"/etc\""))},
    {CREATE, NONE, 0, HOST(MOUNT("\"Type\":\"volume\",\"Target\":\"/a\""))},
    {CREATE, NONE, 0, HOST(MOUNT("\"Type\":\"tmpfs\",\"Target\":\"/a\",\"TmpfsOptions\":{\"SizeBytes\":9}"))},
    {CREATE, NONE, 0, HOST(MOUNT("\"Type\":\"image\",\"Source\":\"nginx\",\"Target\":\"/a\""))},
    {CREATE, NONE, E, HOST(MOUNT("\"Type\":\"bind\",\"Source\":\"/srv/data\",\"Target\":\"/a\""))},
    {CREATE, PATHS, 0, HOST(MOUNT("\"Type\":\"bind\",\"Source\":\"/srv/data\",\"Target\":\"/a\""))},
    {CREATE, PATHS, E,
     HOST(MOUNT("\"Type\":\"bind\",\"Source\":\"/srv/data\",\"BindOptions\":{\"Propagation\":\"shared\"}"))},
    {CREATE, PATHS, 0,
     HOST(MOUNT("\"Type\":\"bind\",\"Source\":\"/srv/data\",\"BindOptions\":{\"Propagation\":\"rslave\"}"))},
    {CREATE, NONE, E, HOST(MOUNT("\"Source\":\"/etc\",\"Target\":\"/a\""))},
    {CREATE, NONE, E, HOST(MOUNT("\"Type\":\"volume\",\"Source\":\"/etc\",\"Target\":\"/a\""))},
    {CREATE, NONE, E, HOST(MOUNT("\"Type\":\"tmpfs\",\"Source\":\"/etc\",\"Target\":\"/a\""))},
    {CREATE, NONE, E, HOST(MOUNT("\"Type\":\"npipe\",\"Source\":\"x\""))},
    {CREATE, NONE, E, HOST(MOUNT("\"Type\":\"cluster\",\"Source\":\"x\""))},
    {CREATE, NONE, E, HOST(MOUNT("\"Type\":\"APISocket\""))},
    {CREATE, NONE, E, HOST(MOUNT("\"Type\":\"b\xc4\xb1nd\",\"Source\":\"/etc\""))},
    {CREATE, NONE, E, HOST(MOUNT("\"Type\":\"volume\",\"New\":1"))},
    {CREATE, NONE, E,
     HOST(MOUNT("\"Type\":\"volume\",\"VolumeOptions\":{\"DriverConfig\":{\"Name\":\"sshfs\"}}"))},
    {CREATE, NONE, E,
     HOST(MOUNT("\"Type\":\"volume\",\"VolumeOptions\":{\"DriverConfig\":{\"Options\":{\"type\":\"none\","
		"\"o\":\"bind\",\"device\":\"/etc\"}}}"))},
    {CREATE, PATHS, 0,
     HOST(MOUNT("\"Type\":\"volume\",\"VolumeOptions\":{\"DriverConfig\":{\"Options\":{\"type\":\"none\","
		"\"o\":\"bind,ro\",\"device\":\"/srv/data\"}}}"))},
    {CREATE, NONE, E, HOST("\"VolumesFrom\":[\"other\"]")},
    {CREATE, NONE, E, HOST("\"VolumeDriver\":\"sshfs\"")},
    {CREATE, NONE, 0, HOST("\"VolumeDriver\":\"local\",\"VolumesFrom\":[]")},
    {CREATE, NONE, E, HOST("\"Tmpfs\":{\"/a\":\"rbind\"}")},
    /* The same in the words of API 1.46. */
    {CREATE, NONE, 0, HOST(TMPFS("[[\"noexec\"],[\"size\",\"1m\"]]"))},
    {CREATE, NONE, 0, HOST(TMPFS("null"))},
    {CREATE, NONE, E, HOST(TMPFS("[[\"noexec\"],[\"remount\"]]"))},
    {CREATE, NONE, E, HOST(TMPFS("[[\"size\",\"1m,remount\"]]"))},
    {CREATE, NONE, E, HOST(TMPFS("[[\"size=1,shared\"]]"))},
    {CREATE, NONE, B, HOST(TMPFS("[[]]"))},
    {CREATE, NONE, B, HOST(TMPFS("[[\"exec\",\"a\",\"b\"]]"))},
    {CREATE, NONE, B, HOST(TMPFS("[\"exec\"]"))},
    {CREATE, NONE, B, HOST(TMPFS("[[1]]"))},
    {CREATE, NONE, B, HOST(TMPFS("\"exec\""))},
    {CREATE, NONE, E, HOST(MOUNT("\"Type\":\"tmpfs\",\"Target\":\"/a\",\"TmpfsOptions\":{\"Flags\":1}"))},
    {CREATE, NONE, 0, HOST("\"Tmpfs\":{\"/a\":\"rw,noexec,size=1m\"}")},
    /* Capabilities and devices. */
    {CREATE, NONE, 0, HOST("\"CapDrop\":[\"ALL\"],\"CapAdd\":[\"NET_BIND_SERVICE\",\"cap_chown\"]")},
    {CREATE, NONE, E, HOST("\"CapAdd\":[\"CHOWN\",\"SYS_ADMIN\"]")},
    {CREATE, NONE, E, HOST("\"CapAdd\":[\"all\"]")},
    {CREATE, NONE, E, HOST("\"CapAdd\":\"ALL\"")},
    {CREATE, NONE, E, HOST("\"Capabilities\":[\"CAP_SYS_ADMIN\"]")},
    {CREATE, PATHS, 0, HOST("\"CapAdd\":[\"CAP_SYS_PTRACE\",\"net_admin\"]")},
    {CREATE, PATHS, E, HOST("\"CapAdd\":[\"SYS_MODULE\"]")},
    {CREATE, PRIVILEGED, 0, HOST("\"CapAdd\":[\"ALL\"]")},
    {CREATE, NONE, E, HOST("\"Devices\":[{\"PathOnHost\":\"/dev/fuse\"}]")},
    {CREATE, PATHS, 0,
     HOST("\"Devices\":[{\"PathOnHost\":\"/dev/fuse\",\"PathInContainer\":\"/dev/sda\"},{\"PathOnHost\":\"/"
	  "dev/snd/a\"}]")},
    {CREATE, PATHS, E, HOST("\"Devices\":[{\"PathOnHost\":\"/dev/fuse/../sda\"}]")},
    {CREATE, PATHS, E, HOST("\"Devices\":[{\"PathInContainer\":\"/dev/fuse\"}]")},
    {CREATE, NONE, E, HOST("\"DeviceCgroupRules\":[\"a *:* rwm\"]")},
    {CREATE, NONE, E, HOST("\"DeviceRequests\":[{\"Driver\":\"nvidia\"}]")},
    /* Namespaces. */
    {CREATE, NONE, E, HOST("\"PidMode\":\"host\"")},
    {CREATE, NONE, E, HOST("\"PidMode\":\"container:a\"")},
    {CREATE, NONE, E, HOST("\"PidMode\":\"ns:/proc/1/ns/pid\"")},
    {CREATE, NONE, E, HOST("\"IpcMode\":\"host\"")},
    {CREATE, NONE, 0, HOST("\"IpcMode\":\"shareable\"")},
    {CREATE, NONE, E, HOST("\"NetworkMode\":\"host\"")},
    {CREATE, NONE, E, HOST("\"NetworkMode\":\"container:a\"")},
    {CREATE, NONE, E, HOST("\"NetworkMode\":\"ns:/proc/1/ns/net\"")},
    {CREATE, NONE, 0, HOST("\"NetworkMode\":\"front\"")},
    {CREATE, NONE, E, HOST("\"UTSMode\":\"host\"")},
    {CREATE, NONE, E, HOST("\"UsernsMode\":\"host\"")},
    {CREATE, NONE, E, HOST("\"CgroupnsMode\":\"host\"")},
    {CREATE, NONE, E, HOST("\"Cgroup\":\"container:a\"")},
    {CREATE, NONE, E, "{\"NetworkingConfig\":{\"EndpointsConfig\":{\"host\":{}}}}"},
    {CREATE, NAMESPACES, 0,
     HOST("\"PidMode\":\"host\",\"NetworkMode\":\"host\",\"IpcMode\":\"container:a\"")},
    {CREATE, NAMESPACES, E, HOST("\"Privileged\":true")},
    {CREATE, PRIVILEGED, E, HOST("\"PidMode\":\"host\"")},
    {CREATE, PRIVILEGED, E, HOST("\"Binds\":[\"/:/x\"]")},
    /* The rest of the sandbox. */
    {CREATE, NONE, 0, HOST("\"SecurityOpt\":[\"no-new-privileges:true\",\"seccomp=builtin\"]")},
    {CREATE, NONE, E, HOST("\"SecurityOpt\":[\"seccomp=unconfined\"]")},
    {CREATE, NONE, E, HOST("\"SecurityOpt\":[\"seccomp={}\"]")},
    {CREATE, NONE, E, HOST("\"SecurityOpt\":[\"label=disable\"]")},
    {CREATE, NONE, E, HOST("\"SecurityOpt\":[\"systempaths=unconfined\"]")},
    {CREATE, NONE, E, HOST("\"SecurityOpt\":[\"no-new-privileges:false\"]")},
    {CREATE, NONE, E, HOST("\"MaskedPaths\":[]")},
    {CREATE, NONE, E, HOST("\"ReadonlyPaths\":[]")},
    {CREATE, NONE, E, HOST("\"Sysctls\":{\"kernel.core_pattern\":\"|/x\"}")},
    {CREATE, NONE, E, HOST("\"Sysctls\":{\"net.../../kernel/core_pattern\":\"x\"}")},
    {CREATE, NONE, 0, HOST("\"Sysctls\":{\"net.core.somaxconn\":\"9\",\"kernel.shmmax\":\"1\"}")},
    {CREATE, NONE, E, HOST("\"CgroupParent\":\"/\"")},
    {CREATE, NONE, E, HOST("\"Runtime\":\"/usr/bin/evil\"")},
    {CREATE, NONE, 0, HOST("\"Runtime\":\"runc\"")},
    {CREATE, NONE, E, HOST("\"Annotations\":{\"run.oci.x\":\"1\"}")},
    {CREATE, NONE, E, HOST("\"OomScoreAdj\":-1")},
    {CREATE, NONE, E, HOST("\"StorageOpt\":{\"x\":\"1\"}")},
    {CREATE, NONE, 0, HOST("\"StorageOpt\":{\"size\":\"1G\"}")},
    {CREATE, NONE, 0,
     HOST(
	 "\"LogConfig\":{\"Type\":\"syslog\",\"Config\":{\"syslog-address\":\"tcp://a:1\",\"tag\":\"/x\"}}")},
    {CREATE, NONE, E,
     HOST("\"LogConfig\":{\"Type\":\"syslog\",\"Config\":{\"syslog-address\":\"unix:///run/docker.sock\"}}")},
    {CREATE, NONE, E, HOST("\"LogConfig\":{\"Type\":\"plugin:1\"}")},
    {CREATE, NONE, 0, HOST("\"Links\":[\"a:b\"],\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"80\"}]}")},
    /* Images. */
    {CREATE, IMAGES, 0, "{\"Image\":\"nginx\"}"},
    {CREATE, IMAGES, 0, "{\"Image\":\"docker.io/library/nginx:1@sha256:aa\"}"},
    {CREATE, IMAGES, 0, "{\"Image\":\"index.docker.io/mycorp/a/b\"}"},
    {CREATE, IMAGES, 0, "{\"Image\":\"registry:5000/ci/x:2\"}"},
    {CREATE, IMAGES, 0, "{\"Image\":\"ghcr.io/a/b:1\"}"},
    {CREATE, IMAGES, E, "{\"Image\":\"ghcr.io/a/b:10\"}"},
    {CREATE, IMAGES, E, "{\"Image\":\"nginx-evil\"}"},
    {CREATE, IMAGES, E, "{\"Image\":\"evil/nginx\"}"},
    {CREATE, IMAGES, E, "{\"Image\":\"evil.io/library/nginx\"}"},
    {CREATE, IMAGES, E, "{\"Image\":\"mycorp\"}"},
    {CREATE, IMAGES, E, "{\"Image\":\"registry:5000/cix\"}"},
    {CREATE, IMAGES, E, "{\"Image\":\"4f53cda18c2b\"}"},
    {CREATE, IMAGES, E, "{\"Image\":\"sha256:4f53cda18c2b\"}"},
    {CREATE, IMAGES, E, "{\"Image\":\"\"}"},
    {CREATE, IMAGES, E, "{}"},
    {CREATE, IMAGES, E,
     "{\"Image\":\"nginx\",\"HostConfig\":{" MOUNT("\"Type\":\"image\",\"Source\":\"evil\"") "}}"},
    /* Update, start, exec, commit, checkpoint. */
    {"container-update", NONE, 0, "{\"Memory\":1,\"RestartPolicy\":{\"Name\":\"no\"}}"},
    {"container-update", NONE, E, "{\"Devices\":[{\"PathOnHost\":\"/dev/sda\"}]}"},
    {"container-update", NONE, B, ""},
    {"container-start", NONE, 0, ""},
    {"container-start", NONE, 0, "{}"},
    {"container-start", NONE, 0, "null"},
    {"container-start", NONE, E, "{\"Binds\":null}"},
    {"exec-create", NONE, 0, "{\"User\":\"0\",\"Cmd\":[\"sh\"],\"Tty\":true}"},
    {"exec-create", NONE, E, "{\"Cmd\":[\"sh\"],\"Privileged\":true}"},
    {"exec-create", PRIVILEGED, 0, "{\"Cmd\":[\"sh\"],\"Privileged\":true}"},
    {"exec-create", NONE, B, ""},
    {"exec-create", NONE, E, "{\"HostConfig\":{}}"},
    {"commit", NONE, 0, ""},
    {"commit", NONE, 0, "null"},
    {"commit", IMAGES, 0, "{\"Image\":\"whatever\",\"Env\":[]}"},
    {"commit", NONE, E, "{\"New\":1}"},
    {"checkpoint-create", NONE, 0, "{\"CheckpointID\":\"a\",\"CheckpointDir\":\"\"}"},
    {"checkpoint-create", NONE, E, "{\"CheckpointID\":\"a\",\"CheckpointDir\":\"/etc\"}"},
    /* Services. */
    {"service-create", NONE, 0, TASK("\"Env\":[]")},
    {"service-create", NONE, 0, TASK(MOUNT("\"Type\":\"VOLUME\",\"Source\":\"v\""))},
    {"service-create", NONE, E, TASK(MOUNT("\"Type\":\"bind\",\"Source\":\"/etc\""))},
    {"service-create", NONE, E, TASK(MOUNT("\"Type\":\"BIND\",\"Source\":\"/etc\""))},
    {"service-create", NONE, E, TASK(MOUNT("\"Source\":\"/etc\",\"Target\":\"/x\""))},
    {"service-update", PATHS, 0, TASK(MOUNT("\"Type\":\"bind\",\"Source\":\"/srv/data/x\""))},
    {"service-update", PATHS, 0, TASK(MOUNT("\"Source\":\"/srv/data/x\",\"Target\":\"/x\""))},
    {"service-update", PATHS, E, TASK(MOUNT("\"Type\":\"bind\",\"Source\":\"/run/docker.sock\""))},
    {"service-create", NONE, E, TASK("\"CapabilityAdd\":[\"CAP_SYS_ADMIN\"]")},
    {"service-create", NONE, 0, TASK("\"CapabilityAdd\":[\"CAP_CHOWN\"],\"CapabilityDrop\":[\"ALL\"]")},
    {"service-create", NONE, E, TASK("\"Sysctls\":{\"kernel.panic\":\"1\"}")},
    {"service-create", NONE, E, TASK("\"Privileges\":{\"Seccomp\":{\"Mode\":\"unconfined\"}}")},
    {"service-create", NONE, E, TASK("\"Privileges\":{\"Seccomp\":{\"Profile\":\"e30=\"}}")},
    {"service-create", NONE, E, TASK("\"Privileges\":{\"AppArmor\":{\"Mode\":\"disabled\"}}")},
    {"service-create", NONE, E, TASK("\"Privileges\":{\"SELinuxContext\":{\"Disable\":true}}")},
    {"service-create", NONE, E, TASK("\"Privileges\":{\"CredentialSpec\":{\"File\":\"x\"}}")},
    {"service-create", NONE, 0,
     TASK("\"Privileges\":{\"CredentialSpec\":null,\"SELinuxContext\":null,\"Seccomp\":{\"Mode\":\"default\"}"
	  ",\"NoNewPrivileges\":true}")},
    {"service-create", NONE, E, TASK("\"NewThing\":1")},
    {"service-create", NONE, E,
     "{\"TaskTemplate\":{\"PluginSpec\":{\"Name\":\"x\"},\"Runtime\":\"plugin\"}}"},
    {"service-create", NONE, E, "{\"TaskTemplate\":{\"Runtime\":\"attachment\"}}"},
    {"service-create", NONE, E, "{\"TaskTemplate\":{\"NetworkAttachmentSpec\":{\"ContainerID\":\"x\"}}}"},
    {"service-create", NONE, E, "{\"TaskTemplate\":{\"Networks\":[{\"Target\":\"host\"}]}}"},
    {"service-create", NONE, E, "{\"Networks\":[{\"target\":\"HOST\"}]}"},
    {"service-create", NAMESPACES, 0, "{\"Networks\":[{\"Target\":\"host\"}]}"},
    {"service-create", NONE, E, "{\"TaskTemplate\":{\"LogDriver\":{\"Name\":\"loki:2\"}}}"},
    {"service-create", NONE, B, ""},
    /* A secret of a plugin's, whichever it keeps. */
    {"secret-create", NONE, E, "{\"Name\":\"x\",\"Driver\":{\"Name\":\"vault\"}}"},
    {"secret-create", NONE, 0,
     "{\"Name\":\"x\",\"Data\":\"eA==\",\"Labels\":{},\"Driver\":null,\"Templating\":{\"Name\":\"golang\"}}"},
    {"secret-create", NONE, E, "{\"Name\":\"x\",\"External\":true}"},
    /* Swarm fills in templates after the request was looked into: the first came to be a bind mount of the
       host's root. */
    {"service-create", NONE, E,
     TASK(OPTIONS("\"type\":\"tmpfs\",\"device\":\"/\",\"o\":\"size={{printf \\\"1%cbind\\\" 44}}\""))},
    {"service-update", NONE, E,
     TASK(OPTIONS("\"type\":\"tmpfs\",\"o\":\"mode={{index .Service.Labels `x`}}\""))},
    {"service-update", NONE, E, TASK(OPTIONS("\"type\":\"{{`none`}}\",\"o\":\"bind\",\"device\":\"/\""))},
    {"service-update", NONE, E, TASK(OPTIONS("\"size\":\"{{1}}\""))},
    {"service-create", NONE, 0,
     TASK(OPTIONS("\"type\":\"tmpfs\",\"device\":\"tmpfs\",\"o\":\"size=1m,mode=0700\""))},
    {"service-create", PATHS, E,
     TASK(MOUNT("\"Type\":\"bind\",\"Source\":\"/srv/data/{{index .Service.Labels `x`}}\""))},
    {"service-create", PATHS, E,
     TASK(OPTIONS("\"type\":\"none\",\"o\":\"bind\",\"device\":\"/srv/data/{{`..`}}/etc\""))},
    {"service-create", NONE, E, TASK(MOUNT("\"Type\":\"volume\",\"Source\":\"{{`gate`}}\""))},
    {"service-create", NONE, 0,
     TASK(MOUNT("\"Type\":\"volume\",\"Source\":\"a\",\"Target\":\"/{{.Task.Slot}}\""))},
    {"service-create", IMAGES, E, "{\"TaskTemplate\":{\"ContainerSpec\":{}}}"},
    {"service-create", IMAGES, E, "{\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"evil\"}}}"},
    {"service-update", IMAGES, 0, "{\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"nginx:1@sha256:ab\"}}}"},
    /* Volumes. */
    {"volume-create", NONE, 0, "{\"Name\":\"v\",\"Driver\":\"local\",\"DriverOpts\":null}"},
    {"volume-create", NONE, 0,
     "{\"DriverOpts\":{\"type\":\"tmpfs\",\"device\":\"tmpfs\",\"o\":\"size=1m,uid=0\"}}"},
    {"volume-create", NONE, E, "{\"DriverOpts\":{\"type\":\"tmpfs\",\"device\":\"/\",\"o\":\"bind\"}}"},
    {"volume-create", NONE, E,
     "{\"DriverOpts\":{\"type\":\"tmpfs\",\"device\":\"/\",\"o\":\"size=1,rbind\"}}"},
    {"volume-create", NONE, E, "{\"DriverOpts\":{\"type\":\"none\",\"device\":\"/etc\",\"o\":\"bind\"}}"},
    {"volume-create", PATHS, 0,
     "{\"DriverOpts\":{\"type\":\"none\",\"device\":\"/srv/data\",\"o\":\"bind\"}}"},
    {"volume-create", PATHS, E,
     "{\"DriverOpts\":{\"type\":\"none\",\"device\":\"/srv/data/../x\",\"o\":\"bind\"}}"},
    {"volume-create", NONE, E, "{\"DriverOpts\":{\"type\":\"ext4\",\"device\":\"/dev/sda1\"}}"},
    {"volume-create", NONE, E,
     "{\"DriverOpts\":{\"type\":\"nfs\",\"device\":\":/x\",\"o\":\"addr=10.0.0.1\"}}"},
    {"volume-create", NONE, E, "{\"DriverOpts\":{\"device\":\"/etc\"}}"},
    {"volume-create", NONE, E, "{\"DriverOpts\":{\"mountpoint\":\"/etc\"}}"},
    {"volume-create", NONE, E, "{\"Driver\":\"sshfs\"}"},
    {"volume-create", NONE, E, "{\"ClusterVolumeSpec\":{\"Group\":\"x\"}}"},
    /* Networks. */
    {"network-create", NONE, 0,
     "{\"Name\":\"n\",\"Driver\":\"overlay\",\"Attachable\":true,\"IPAM\":{\"Driver\":\"default\"}}"},
    {"network-create", NONE, E, "{\"Name\":\"n\",\"Driver\":\"host\"}"},
    {"network-create", NONE, E, "{\"Name\":\"n\",\"Driver\":\"macvlan\",\"Options\":{\"parent\":\"eth0\"}}"},
    {"network-create", NAMESPACES, 0,
     "{\"Name\":\"n\",\"Driver\":\"macvlan\",\"Options\":{\"parent\":\"eth0\"}}"},
    {"network-create", NONE, E,
     "{\"Name\":\"n\",\"Options\":{\"com.docker.network.bridge.name\":\"virbr0\"}}"},
    {"network-create", NONE, E, "{\"Name\":\"n\",\"Driver\":\"weave\"}"},
    {"network-create", NONE, E, "{\"Name\":\"n\",\"IPAM\":{\"Driver\":\"infoblox\"}}"},
    {"network-create", NONE, E, NETWORK_OPTION("com.docker.network.bridge.default_bridge")},
    {"network-create", NONE, E, NETWORK_OPTION("com.docker.network.bridge.trusted_host_interfaces")},
    {"network-create", NONE, E, NETWORK_OPTION("Encrypted")},
    {"network-create", NONE, 0, NETWORK_OPTION("encrypted")},
    {"network-create", NONE, 0, NETWORK_OPTION("com.docker.network.driver.mtu")},
    {"network-create", NAMESPACES, 0, NETWORK_OPTION("com.docker.network.bridge.default_bridge")},
    /* The host's routes: what is not private would be taken from the Internet. */
    {"network-create", NONE, 0, SUBNET("172.28.0.0/16\",\"Gateway\":\"172.28.0.1")},
    {"network-create", NONE, 0, SUBNET("fd00:1::/64")},
    {"network-create", NONE, 0, SUBNET("")},
    {"network-create", NONE, E, SUBNET("8.8.8.0/24")},
    {"network-create", NONE, E, SUBNET("8.8.8.8")},
    {"network-create", NONE, E, SUBNET("172.0.0.0/8")},
    {"network-create", NONE, E, SUBNET("0.0.0.0/0")},
    {"network-create", NONE, E, SUBNET("::ffff:8.8.8.0/120")},
    {"network-create", NONE, E, SUBNET("2606:4700::/32")},
    {"network-create", NONE, E, SUBNET("10.0.0.0/24 ")},
    {"network-create", NAMESPACES, 0, SUBNET("8.8.8.0/24")},
    {"network-create", NONE, E, SUBNET("10.0.0.0/24\",\"Route\":\"8.8.8.0/24")},
    {"network-create", NONE, B, "{\"Name\":\"n\",\"IPAM\":{\"Config\":[\"8.8.8.0/24\"]}}"},
    {"network-create", NONE, B, "{\"Name\":\"n\",\"IPAM\":{\"Config\":{\"Subnet\":\"8.8.8.0/24\"}}}"},
};

/* What a refusal says is one line of plain ASCII; an acceptance says nothing. */
static void assert_reason(const char *reason, int error)
{
	size_t length = strnlen(reason, INSPECT_REASON_BYTES);

	cr_assert_lt(length, INSPECT_REASON_BYTES);
	cr_assert_eq(length != 0, error != 0, "'%s' with %d", reason, error);
	for (size_t i = 0; i < length; i++)
		cr_assert(reason[i] >= ' ' && reason[i] < 0x7f && reason[i] != '"' && reason[i] != '\\');
}

/* headgate's own container: no role may link to it, or move it from network to network. */
Test(inspect, own_container)
{
	static const struct {
		const char *route, *body;
		int result;
	} asked[] = {
	    {CREATE, HOST("\"Links\":[\"gate:x\"]"), -EACCES},
	    {CREATE, HOST("\"Links\":[\"a:b\",\"/gate\"]"), -EACCES},
	    {CREATE, HOST("\"Links\":\"0123:x\""), -EACCES},
	    {CREATE, "{\"Image\":\"a\",\"Links\":[\"gate-before:x\"]}", -EACCES},
	    {CREATE, HOST("\"Links\":[\"a:gate\"]"), 0},
	    {CREATE, HOST("\"Links\":[{}]"), -EBADMSG},
	    {CREATE, HOST("\"Binds\":[\"gate:/x\"]"), -EACCES},
	    {CREATE, HOST("\"Binds\":[\"gates:/x\"]"), 0},
	    /* The stack's: its key and tokens, and the service itself, whatever it is called in the path. */
	    {"service-create", TASK("\"Secrets\":[{\"SecretID\":\"x\",\"SecretName\":\"gate_key\"}]"),
	     -EACCES},
	    {"service-create", TASK("\"Secrets\":[{\"SecretName\":\"a\"},{\"\u017fecretName\":\"gate\"}]"),
	     -EACCES},
	    {"service-create", TASK("\"Secrets\":[{\"SecretID\":\"x\",\"SecretName\":\"gates\"}]"), 0},
	    {"service-create", TASK("\"Secrets\":null,\"Configs\":[]"), 0},
	    {"service-create", TASK("\"Secrets\":[null]"), -EBADMSG},
	    {"service-create", TASK("\"Secrets\":[{\"SecretName\":[]}]"), -EBADMSG},
	    {"service-create", TASK("\"Configs\":[{\"ConfigName\":\"gate-1\"}]"), -EACCES},
	    {"service-create", TASK("\"Configs\":[{\"ConfigName\":\"web\",\"File\":{\"Name\":\"gate\"}}]"),
	     0},
	    {"service-create", "{\"Name\":\"gate_gate\"}", -EACCES},
	    {"service-update", "{\"name\":\"gate\"}", -EACCES},
	    {"service-update", "{\"Name\":\"web\"}", 0},
	    /* Its port: docker's DNAT would lead clients, and their tokens, to the service. */
	    {"service-create", PORTS("{\"TargetPort\":1,\"PublishedPort\":443}"), -EACCES},
	    {"service-update",
	     PORTS("{\"PublishedPort\":80},{\"publi\u017fhedPort\":2376,\"PublishMode\":\"host\"}"), -EACCES},
	    {"service-create",
	     PORTS("{\"PublishedPort\":8443,\"TargetPort\":443,\"Name\":\"a\",\"Protocol\":\"tcp\"}"), 0},
	    {"service-create", PORTS("{\"PublishedPort\":0},{\"PublishedPort\":null}"), 0},
	    {"service-create", PORTS("{\"PublishedPort\":4.43e2}"), -EBADMSG},
	    {"service-create", PORTS("{\"PublishedPort\":\"443\"}"), -EBADMSG},
	    {"service-create", PORTS("{\"HostPort\":443}"), -EACCES},
	    {"service-create", "{\"Name\":\"web\",\"EndpointSpec\":{\"Mode\":\"dnsrr\",\"Ports\":null}}", 0},
	    {"secret-create", "{\"Name\":\"gate_tokens\",\"Data\":\"eA==\"}", -EACCES},
	    {"secret-create", "{\"Name\":\"web\",\"Labels\":null,\"Data\":\"eA==\"}", 0},
	    {"network-disconnect", "{\"Container\":\"gate\",\"Force\":true}", -EACCES},
	    {"network-disconnect", "{\"container\":\"01\"}", -EACCES},
	    {"network-disconnect", "{\"Container\":\"web\",\"Force\":true}", 0},
	    {"network-connect", "{\"Container\":\"gate\"}", -EACCES},
	    {"network-connect", "{\"Container\":\"web/alias\"}", -EACCES},
	    {CREATE, HOST("\"Links\":[\"/web/alias:x\"]"), -EACCES},
	    {"network-connect", "{\"Container\":\"web\",\"EndpointConfig\":{\"Aliases\":[\"x\"]}}", 0},
	    {"network-connect", "{\"Container\":\"web\",\"Other\":1}", -EACCES},
	    {"volume-create", "{\"Name\":\"gate\"}", -EACCES},
	    {"volume-create", "{\"Name\":\"gates\"}", 0},
	};
	struct own_ids ids = {.is_known = {true}};
	struct own own;
	struct inspect_limits limits = {.own = &own};
	char reason[INSPECT_REASON_BYTES];

	own_init(&own, "gate", "0123456789ab");
	own.ids = &ids;
	own.ports[0] = 443;
	own.ports[OWN_PORTS - 1] = 2376;
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
		cr_expect_eq(inspect_bytes(&limits, asked[i].route, "", span_of(asked[i].body), reason),
			     asked[i].result, "%s: %s", asked[i].body, reason);
}

#define SPEC(text)	 "{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"a\"," text "}}}"
#define SECRET(id, name) SPEC("\"Secrets\":[{\"SecretID\":\"" id "\",\"SecretName\":\"" name "\"}]")
#define CONFIG(id, name) SPEC("\"Configs\":[{\"ConfigID\":\"" id "\",\"ConfigName\":\"" name "\"}]")

/* headgate's own secrets: no role may give them to a service, by whatever name, or make one that is called
 * so. */
Test(inspect, own_secrets)
{
	static const struct {
		const char *body;
		int result;
	} services[] = {
	    {SECRET("abc1", "db"), 0},
	    {CONFIG("abc1", "db"), 0},
	    {SECRET("abc1", "gate_key"), -EACCES},
	    {SECRET("abc1", "GATE-x"), -EACCES},
	    {SECRET("own1", "db"), -EACCES},
	    {SECRET("abc1", ""), -EACCES},
	    {SECRET("own2", "db"), 0},
	    {CONFIG("own2", "db"), -EACCES},
	    {CONFIG("abc1", "gate.conf"), -EACCES},
	    {SPEC("\"Secrets\":[{\"SecretID\":\"abc1\"}]"), -EACCES},
	    {SPEC("\"secrets\":[{\"secretname\":\"gate\"}]"), -EACCES},
	    {SPEC("\"Secrets\":[{\"SecretID\":\"a\",\"SecretName\":\"b\"},{\"SecretName\":\"gate\"}]"),
	     -EACCES},
	    {SPEC("\"Secrets\":[{\"SecretID\":7,\"SecretName\":\"db\"}]"), -EBADMSG},
	    {SPEC("\"Secrets\":[{\"SecretID\":\"a\",\"SecretName\":\"db\",\"Other\":\"gate\"}]"), -EACCES},
	    {SPEC("\"Secrets\":[\"gate\"]"), -EBADMSG},
	    {SPEC("\"Secrets\":{\"SecretName\":\"gate\"}"), -EBADMSG},
	    {SPEC("\"Secrets\":null,\"Configs\":[]"), 0},
	    {"{\"Name\":\"gate_more\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"a\"}}}", -EACCES},
	};
	struct own_ids ids = {.is_known = {[OWN_SECRET] = true}};
	struct own own = {.name = "gate", .ids = &ids};
	struct inspect_limits limits = {.own = &own};
	char reason[INSPECT_REASON_BYTES];

	cr_assert(own_ids_add(&ids, OWN_SECRET, SPAN("own1")));
	cr_assert(own_ids_add(&ids, OWN_CONFIG, SPAN("own2")));
	own_ids_clear(&ids, OWN_SERVICE);
	ids.is_known[OWN_CONFIG] = true;
	for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
		static const char *const routes[] = {"service-create", "service-update"};

		for (size_t r = 0; r < ARRAY_SIZE(routes); r++)
			cr_expect_eq(inspect_bytes(&limits, routes[r], "", span_of(services[i].body), reason),
				     services[i].result, "%s: %s", services[i].body, reason);
	}
	/* Without headgate in a container there is nothing of its own, and the swarm judges. */
	cr_expect_eq(inspect_bytes(&limits_none, "service-create", "", SPAN(SECRET("", "gate_key")), reason),
		     0);
	/* The engine has said nothing yet: names decide, which the swarm compares with the IDs. */
	own.ids = NULL;
	cr_expect_eq(inspect_bytes(&limits, "service-create", "", SPAN(SECRET("own1", "db")), reason), 0);
	cr_expect_eq(inspect_bytes(&limits, "service-create", "", SPAN(SECRET("own1", "gate_x")), reason),
		     -EACCES);
	cr_expect_eq(inspect_bytes(&limits, "secret-create", "",
				   SPAN("{\"Name\":\"gate_key\",\"Data\":\"eA==\"}"), reason),
		     -EACCES);
	cr_expect_eq(inspect_bytes(&limits, "secret-create", "",
				   SPAN("{\"Name\":\"db\",\"Labels\":{\"a\":\"b\"},\"Data\":\"eA==\","
					"\"Driver\":null,\"Templating\":{\"Name\":\"golang\"}}"),
				   reason),
		     0, "%s", reason);
	cr_expect_eq(inspect_bytes(&limits, "secret-create", "",
				   SPAN("{\"Name\":\"db\",\"Driver\":{\"Name\":\"plugin\"}}"), reason),
		     -EACCES);
}

/* The engine's lists. */
Test(inspect, own_ids)
{
	static const char services[] = "[{\"ID\":\"a1\",\"Spec\":{\"Name\":\"gate_gate\"}},"
				       "{\"ID\":\"b2\",\"Spec\":{\"Name\":\"gates\"}},"
				       "{\"ID\":\"c3\",\"Spec\":{\"Name\":\"gate\"}}]";
	static const char containers[] = "[{\"Id\":\"0a\",\"Names\":[\"/x/y\",\"/gate-before\"]},"
					 "{\"Id\":\"0b\",\"Names\":[\"/web\"]},"
					 "{\"Id\":\"0c\",\"Names\":[\"/gate_gate.abc\"]}]";
	static const char *const bad[] = {
	    "",
	    "{}",
	    "[7]",
	    "{\"message\":\"no swarm\"}",
	    "[{\"ID\":\"A\",\"Spec\":{\"Name\":\"gate\"}}]",
	    "[{\"Spec\":{\"Name\":\"gate\"}}]",
	    "[{\"ID\":\"a\",\"Spec\":{\"Name\":\"gate\"}}",
	};
	struct own own = {.name = "gate"};
	struct own_ids ids = {0};

	cr_assert(inspect_own_ids(SPAN(services), &own, OWN_SERVICE, &ids));
	cr_assert_eq(ids.count, 2);
	cr_assert_str_eq(ids.ids[0].id, "a1");
	cr_assert_str_eq(ids.ids[1].id, "c3");
	cr_assert(inspect_own_ids(SPAN(containers), &own, OWN_CONTAINER, &ids));
	cr_assert_eq(ids.count, 4);
	cr_assert_str_eq(ids.ids[2].id, "0a");
	cr_assert_str_eq(ids.ids[3].id, "0c");
	cr_assert_eq(ids.ids[3].kind, OWN_CONTAINER);
	cr_assert(inspect_own_ids(SPAN("[{\"ID\":\"t1\",\"ServiceID\":\"a1\"}]"), &own, OWN_TASK, &ids));
	cr_assert_str_eq(ids.ids[4].id, "t1");
	cr_assert(inspect_own_ids(SPAN("[]"), &own, OWN_SECRET, &ids));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_not(inspect_own_ids(span_of(bad[i]), &own, OWN_SERVICE, &ids), "%s", bad[i]);
}

Test(inspect, table)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct inspect_limits limits = limits_of(rows[i].who);
		char reason[INSPECT_REASON_BYTES];
		int error = inspect_bytes(&limits, rows[i].route, "", span_of(rows[i].body), reason);

		cr_expect_eq(error, rows[i].wanted, "row %zu: %s of %s: %d, %s", i, rows[i].route,
			     rows[i].body, error, reason);
		assert_reason(reason, error);
	}
}

static const struct {
	const char *route, *path, *query;
	enum who who;
	int wanted;
} queries[] = {
    {CREATE, "/x", "?name=a&platform=linux", NONE, 0},
    {CREATE, "/x", "?name=a&name=b", NONE, B},
    {CREATE, "/x", "?name=a&n%61me=b", NONE, B},
    {CREATE, "/x", "?name=a;name=b", NONE, B},
    {CREATE, "/x", "?name=%zz", NONE, B},
    {CREATE, "/x", "?name=%4", NONE, B},
    {CREATE, "/x", "?name=%", NONE, B},
    {CREATE, "/x", "?a%00=b", NONE, B},
    {CREATE, "/x", "?Cmd=a&Cmd=b&&name=x", NONE, 0},
    {"container-rename", "/containers/a/rename", "?name=b", NONE, 0},
    {"container-rename", "/containers/a/rename", "?x=1;name=b", NONE, B},
    {"container-rename", "/containers/a/rename", "?name=b&name=c", NONE, B},
    {"container-start", "/x", "?checkpoint-dir=/etc", NONE, E},
    {"container-start", "/x", "?detachKeys=a", NONE, 0},
    {"checkpoint-list", "/x", "?dir=%2fetc", NONE, E},
    {"checkpoint-delete", "/x", "", NONE, 0},
    {"build", "/build", "?t=a&t=b&q=1&networkmode=default&remote=https%3A%2F%2Fgit", NONE, 0},
    {"build", "/build", "?networkmode=host", NONE, E},
    {"build", "/build", "?networkmode=bridge&networkmode=host", NONE, B},
    {"build", "/build", "?networkmode=container%3Ax", NONE, E},
    {"build", "/build", "?networkmode=host", NAMESPACES, 0},
    {"build", "/build", "?securityopt=seccomp%3Dunconfined", PRIVILEGED, E},
    {"build", "/build", "?cgroupparent=/", NONE, E},
    {"build", "/build", "?cgroupparent=", NONE, 0},
    {"build", "/build", "?volume=/:/x", NONE, E},
    {"build", "/build", "?remote=/etc/passwd", NONE, E},
    {"build", "/build", "?remote=unix:///run/docker.sock", NONE, E},
    {"build", "/build", "?remote=file%3A///etc", NONE, E},
    {"build", "/build", "?remote=client-session&session=a&version=2", NONE, 0},
    {"build", "/build", "?t=nginx:2&t=mycorp/a", IMAGES, 0},
    {"build", "/build", "?t=nginx:2&t=evil", IMAGES, E},
    {"build", "/build", "", IMAGES, 0},
    {"build", "/build", "?t=nginx&outputs=[{%22Type%22:%22image%22,%22Attrs%22:{%22name%22:%22evil%22}}]",
     IMAGES, E},
    {"build", "/build", "?t=nginx&outputs=", IMAGES, 0},
    {"build", "/build", "?t=evil&outputs=[{%22Type%22:%22local%22}]", NONE, 0},
    {"image-create", "/x", "?fromImage=nginx&tag=latest", IMAGES, 0},
    {"image-create", "/x", "?fromImage=nginx:", IMAGES, 0},
    {"image-create", "/x", "?fromImage=evil&tag=latest", IMAGES, E},
    {"image-create", "/x", "?fromImage=ghcr.io/a/b&tag=1", IMAGES, 0},
    {"image-create", "/x", "?fromImage=ghcr.io/a/b:1&tag=2", IMAGES, E},
    {"image-create", "/x", "?fromImage=ghcr.io/a/b&tag=sha256:aa", IMAGES, E},
    {"image-create", "/x", "?fromImage=nginx&tag=sha256:aa", IMAGES, 0},
    {"image-create", "/x", "?fromSrc=-&repo=evil", IMAGES, E},
    {"image-create", "/x", "?fromSrc=-&repo=", IMAGES, 0},
    {"image-create", "/x", "?fromSrc=-&repo=evil&changes=A&changes=B", NONE, 0},
    {"image-load", "/x", "?quiet=1", NONE, 0},
    {"image-load", "/x", "?quiet=1", IMAGES, E},
    {"image-tag", "/v1.45/images/nginx:1/tag", "?repo=mycorp/x&tag=2", IMAGES, 0},
    {"image-tag", "/images/evil/tag", "?repo=mycorp/x&tag=2", IMAGES, E},
    {"image-tag", "/images/4f53/tag", "?repo=mycorp/x&tag=2", IMAGES, E},
    {"image-tag", "/images/nginx/tag", "?repo=evil&tag=2", IMAGES, E},
    {"image-tag", "/images/nginx/tag", "", IMAGES, E},
    {"commit", "/commit", "?container=a&repo=mycorp/x&tag=2", IMAGES, 0},
    {"commit", "/commit", "?container=a&repo=evil", IMAGES, E},
};

Test(inspect, queries)
{
	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		const struct route *route = route_named(queries[i].route);
		struct inspect_limits limits = limits_of(queries[i].who);
		struct span body = strcmp(queries[i].route, CREATE) == 0 ? SPAN("{}") : SPAN(""),
			    type = body.len ? SPAN("application/json") : SPAN("");
		char reason[INSPECT_REASON_BYTES];
		int error = inspect_request(&limits, route, span_of(queries[i].path),
					    span_of(queries[i].query), type, body, reason);

		cr_expect_eq(error, queries[i].wanted, "%s%s: %d, %s", queries[i].path, queries[i].query,
			     error, reason);
		assert_reason(reason, error);
	}
}

static const struct {
	const char *route, *type;
	int wanted;
} types[] = {
    {CREATE, "application/json", 0},
    {CREATE, "Application/JSON ; charset=utf-8", 0},
    {CREATE, "", B},
    {CREATE, "text/plain", B},
    {CREATE, "application/x-www-form-urlencoded", B},
    {CREATE, "application/json-patch+json", B},
    {CREATE, "application/jso", B},
    {CREATE, "multipart/form-data; application/json", B},
    {"build", "application/x-tar", 0},
    {"build", "", 0},
    {"build", "application/x-www-form-urlencoded", B},
    {"build", "Multipart/Form-Data; boundary=x", B},
    /* The engine would take the new name out of it. */
    {"container-rename", "application/x-www-form-urlencoded;;", B},
    {"container-rename", "application/x-www-form-urlencoded\xc2\xa0", B},
    {"container-rename", "multipart/form-data; boundary=x", B},
    {"container-rename", "", 0},
    {"container-rename", "application/json", 0},
    {"image-create", "text/plain", 0},
    {"image-create", " application/x-www-form-urlencoded;x", B},
};

Test(inspect, content_types)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		char reason[INSPECT_REASON_BYTES];

		cr_expect_eq(inspect_request(&limits_none, route_named(types[i].route), SPAN("/x"), SPAN(""),
					     span_of(types[i].type), SPAN("{}"), reason),
			     types[i].wanted, "%s: '%s': %s", types[i].route, types[i].type, reason);
	}
}

Test(inspect, reasons)
{
	char reason[INSPECT_REASON_BYTES];
	char *docker[] = {"/"};
	struct inspect_limits root = {.mounts = {docker, 1}};

	(void)!inspect_bytes(&limits_none, CREATE, "", SPAN(HOST("\"Privileged\":true")), reason);
	cr_assert_str_eq(reason, "asks for Privileged; its role lacks: body privileged");
	(void)!inspect_bytes(&limits_none, CREATE, "", SPAN(HOST("\"Binds\":[\"/a\\n\\\"b:/x\"]")), reason);
	cr_assert_str_eq(reason, "asks for the host's path /a??b; its role lacks: body mounts");
	(void)!inspect_bytes(&limits_none, CREATE, "", SPAN("{\"Brand\xc3\xa9New\":1}"), reason);
	cr_assert_str_eq(
	    reason, "asks for the field Brand??New of the container, which headgate does not know; its role "
		    "lacks: body any");
	/* The whole file system is allowed, and still not the socket in it. */
	cr_assert_eq(inspect_bytes(&root, CREATE, "", SPAN(HOST("\"Binds\":[\"/etc:/x\"]")), reason), 0);
	cr_assert_eq(inspect_bytes(&root, CREATE, "", SPAN(HOST("\"Binds\":[\"/:/x\"]")), reason), -EACCES);
	cr_assert_str_eq(
	    reason, "asks for the host's path /, which holds docker.sock, which has to be named by itself; "
		    "its role lacks: body mounts");
	cr_assert_eq(inspect_bytes(&root, CREATE, "", SPAN(HOST("\"Binds\":[\"/var/run:/x\"]")), reason),
		     -EACCES);
	cr_assert_eq(
	    inspect_bytes(&root, CREATE, "", SPAN(HOST("\"Binds\":[\"/run/./docker.sock:/x\"]")), reason),
	    -EACCES);
}

/* A long path keeps the missing right in sight. */
Test(inspect, a_long_value_is_cut)
{
	char body[8192] = "{\"HostConfig\":{\"Binds\":[\"/", reason[INSPECT_REASON_BYTES];
	size_t length = strlen(body);

	memset(body + length, 'a', 4000);
	strcpy(body + length + 4000, ":/x\"]}}");
	cr_assert_eq(inspect_bytes(&limits_none, CREATE, "", span_of(body), reason), -EACCES);
	cr_assert(strstr(reason, "...") && strstr(reason, "its role lacks: body mounts"), "%s", reason);
}

static const struct {
	const char *target;
	bool known, unknown; /* accepted, the host network's ID being known or not */
} targets[] = {
    {"host", false, false},
    {"m8hkcxex6cjuj95wg17gjuqsk", false, false},
    {"m8hk", false, false},
    {"m", false, false},
    {"", false, false},
    {"9c3e0", false, false},
    {"m8x", true, false},
    {"efyiaihwusffrnj783il4owme", true, false},
    {"backend", true, false},
    {"stack_default", true, true},
    {"traefik-public", true, true},
    {"Backend", true, true},
};

/* A local ID alone does not make it known: the swarm has one of its own. */
Test(inspect, the_hosts_network_by_its_id)
{
	char *ids[] = {"9c3e0aa1", "m8hkcxex6cjuj95wg17gjuqsk"}, reason[INSPECT_REASON_BYTES], body[128];
	struct inspect_limits known = {.host_networks = {ids, 2}}, local = {.host_networks = {ids, 1}};

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		snprintf(body, sizeof(body), "{\"TaskTemplate\":{\"Networks\":[{\"Target\":\"%s\"}]}}",
			 targets[i].target);
		cr_expect_eq(inspect_bytes(&known, "service-create", "", span_of(body), reason) == 0,
			     targets[i].known, "%s: %s", targets[i].target, reason);
		cr_expect_eq(inspect_bytes(&local, "service-update", "", span_of(body), reason) == 0,
			     targets[i].unknown, "%s: %s", targets[i].target, reason);
		cr_expect_eq(inspect_bytes(&limits_none, "service-create", "", span_of(body), reason) == 0,
			     targets[i].unknown, "%s: %s", targets[i].target, reason);
	}
}

static void fill(char *body, const char *start, char c, size_t count, const char *end)
{
	size_t length = strlen(start);

	memcpy(body, start, length);
	memset(body + length, c, count);
	memcpy(body + length + count, end, strlen(end) + 1);
}

Test(inspect, bounds)
{
	char *body = malloc(INSPECT_BODY_MAX_BYTES + 64), reason[INSPECT_REASON_BYTES];

	cr_assert_not_null(body);
	for (size_t depth = INSPECT_DEPTH_MAX - 2; depth < INSPECT_DEPTH_MAX + 3; depth++) {
		fill(body, "{\"Labels\":", '[', depth, "");
		fill(body + strlen(body), "", ']', depth, "}");
		cr_assert_eq(inspect_bytes(&limits_none, CREATE, "", span_of(body), reason),
			     depth + 1 > INSPECT_DEPTH_MAX ? -EBADMSG : 0, "%zu", depth);
	}
	fill(body, "{\"Labels\":", '[', 500000, "");
	cr_assert_eq(inspect_bytes(&limits_none, CREATE, "", span_of(body), reason), -EBADMSG);
	/* Brackets in strings are no nesting, behind an escaped quotation mark neither. */
	fill(body, "{\"Domainname\":\"\\\"", '[', 500, "\"}");
	cr_assert_eq(inspect_bytes(&limits_none, CREATE, "", span_of(body), reason), 0);
	fill(body, "{\"Domainname\":\"", 'a', INSPECT_BODY_MAX_BYTES - 17, "\"}");
	cr_assert_eq(strlen(body), INSPECT_BODY_MAX_BYTES);
	cr_assert_eq(inspect_bytes(&limits_none, CREATE, "", span_of(body), reason), 0, "%s", reason);
	fill(body, "{\"Domainname\":\"", 'a', INSPECT_BODY_MAX_BYTES - 16, "\"}");
	cr_assert_eq(inspect_bytes(&limits_none, CREATE, "", span_of(body), reason), -EBADMSG);
	/* Many small values would cost a hundred times their bytes. */
	fill(body, "{\"Labels\":[0", ',', 0, "");
	for (size_t i = 0; i < 40000; i++)
		strcpy(body + 12 + 2 * i, ",0");
	strcpy(body + 12 + 80000, "]}");
	cr_assert_eq(inspect_bytes(&limits_none, CREATE, "", span_of(body), reason), -EBADMSG);
	free(body);
}

/* 30,000 keys in one object are compared without comparing each with each. */
Test(inspect, many_keys_are_quick)
{
	char *body = malloc(INSPECT_BODY_MAX_BYTES), reason[INSPECT_REASON_BYTES];
	size_t length;

	cr_assert_not_null(body);
	strcpy(body, "{\"Labels\":{\"a\":0");
	length = strlen(body);
	for (size_t i = 0; i < 14000; i++)
		length += (size_t)snprintf(body + length, 32, ",\"key%zu\":0", i);
	strcpy(body + length, "}}");
	cr_assert_eq(inspect_bytes(&limits_none, CREATE, "", span_of(body), reason), 0, "%s", reason);
	strcpy(body + length, ",\"KEY13999\":0}}");
	cr_assert_eq(inspect_bytes(&limits_none, CREATE, "", span_of(body), reason), -EBADMSG);
	free(body);
}

static const struct {
	const char *route;
	enum inspect_need need;
} needs[] = {
    {"container-create", INSPECT_BODY},
    {"container-update", INSPECT_BODY},
    {"container-start", INSPECT_BODY},
    {"exec-create", INSPECT_BODY},
    {"service-create", INSPECT_BODY},
    {"service-update", INSPECT_BODY},
    {"volume-create", INSPECT_BODY},
    {"network-create", INSPECT_BODY},
    {"network-connect", INSPECT_BODY},
    {"network-disconnect", INSPECT_BODY},
    {"commit", INSPECT_BODY},
    {"checkpoint-create", INSPECT_BODY},
    {"build", INSPECT_QUERY},
    {"image-create", INSPECT_QUERY},
    {"image-tag", INSPECT_QUERY},
    {"image-load", INSPECT_QUERY},
    {"container-rename", INSPECT_QUERY},
    {"secret-create", INSPECT_BODY},
    {"checkpoint-list", INSPECT_QUERY},
    {"checkpoint-delete", INSPECT_QUERY},
    {"plugin-pull", INSPECT_NEVER},
    {"plugin-create", INSPECT_NEVER},
    {"plugin-upgrade", INSPECT_NEVER},
    {"plugin-set", INSPECT_NEVER},
    {"volume-update", INSPECT_NEVER},
};

/* Every route that makes or changes something is either in the table above or known to hold nothing. */
Test(inspect, every_route_has_its_need)
{
	static const char *const nothing[] = {
	    "auth",
	    "build-cancel",
	    "config-create",
	    "config-update",
	    "container-wait",
	    "container-attach",
	    "container-kill",
	    "container-pause",
	    "container-resize",
	    "container-restart",
	    "container-stop",
	    "container-unpause",
	    "container-archive-put",
	    "exec-resize",
	    "exec-start",
	    "grpc",
	    "image-push",
	    "node-update",
	    "plugin-disable",
	    "plugin-enable",
	    "plugin-push",
	    "secret-update",
	    "session",
	    "swarm-init",
	    "swarm-join",
	    "swarm-leave",
	    "swarm-unlock",
	    "swarm-update",
	    "build-prune",
	    "container-prune",
	    "image-prune",
	    "network-prune",
	    "volume-prune",
	};
	size_t count;
	const struct route *table = route_table(&count);

	for (size_t i = 0; i < count; i++) {
		enum inspect_need wanted = INSPECT_NOTHING;
		bool named = table[i].method != HTTP_POST && table[i].method != HTTP_PUT;

		for (size_t n = 0; n < ARRAY_SIZE(needs); n++)
			if (strcmp(needs[n].route, table[i].name) == 0) {
				wanted = needs[n].need;
				named = true;
			}
		for (size_t n = 0; n < ARRAY_SIZE(nothing); n++)
			named = named || strcmp(nothing[n], table[i].name) == 0;
		cr_expect(named, "%s: decide whether its requests are looked into", table[i].name);
		cr_expect_eq(inspect_need(&table[i]), wanted, "%s", table[i].name);
	}
}

Test(inspect, never_is_refused_to_limits_alone)
{
	struct inspect_limits any = {.any = true};
	char reason[INSPECT_REASON_BYTES];

	cr_assert_eq(inspect_bytes(&limits_none, "plugin-pull", "", SPAN("[]"), reason), -EACCES);
	cr_assert_str_eq(reason,
			 "asks for plugin-pull, which cannot be looked into; its role lacks: body any");
	cr_assert_eq(inspect_bytes(&any, "plugin-pull", "", SPAN("[]"), reason), 0);
	cr_assert_eq(inspect_bytes(&limits_none, "swarm-init", "", SPAN("no JSON"), reason), 0);
}
