# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# debian-tree.bash, sourced: packages of any Debian release on any host, without installing them.
#
#   debian_apt DIR SUITE     apt-get and apt-cache work with that release alone from here on (APT_CONFIG), with
#                            configuration, lists and cache under DIR
#   debian_links ROOT        a new tree with the links that a Debian root has (/bin -> usr/bin ...)
#   debian_unpack ROOT DEB.. unpacks packages into it; their maintainer scripts are not run
#
# The host's dpkg is not asked and not touched.

# The mirror this machine already uses, if it is a Debian one, in either form of source list; else Debian's own.
debian_mirror() {
	local uri
	uri=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
		awk 'tolower($1) == "uris:" { for (i = 2; i <= NF; i++) print $i }' | grep -E '/debian/?$' | head -n 1) ||
		uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
			sed -En 's/^deb +(\[[^]]*\] +)?([^ ]+).*/\2/p' | grep -E '/debian/?$' | head -n 1) || true
	echo "${uri:-http://deb.debian.org/debian}"
}

# An empty status file makes all dependencies come along. The host's apt.conf.d is kept for its proxy, without its hooks.
debian_apt() {
	local dir=$1 suite=$2 keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -f "$keyring" ] || { apt-get update -qq && apt-get install -qq -y debian-archive-keyring >/dev/null; }
	mkdir -p "$dir"/etc/preferences.d "$dir"/state/lists/partial "$dir"/cache/archives/partial
	rm -rf "$dir/etc/apt.conf.d"
	cp -r /etc/apt/apt.conf.d "$dir/etc/"
	printf '#clear %s;\n' APT::Update::Pre-Invoke APT::Update::Post-Invoke APT::Update::Post-Invoke-Success \
		DPkg::Pre-Invoke DPkg::Post-Invoke DPkg::Pre-Install-Pkgs >"$dir/etc/apt.conf.d/zz-private"
	echo "deb [signed-by=$keyring] $(debian_mirror) $suite main" >"$dir/etc/sources.list"
	: >"$dir/status"
	cat >"$dir/apt.conf" <<-E
		Dir::Etc "$dir/etc"; Dir::Etc::sourcelist "$dir/etc/sources.list"; Dir::Etc::sourceparts "-";
		Dir::Etc::parts "$dir/etc/apt.conf.d"; Dir::State "$dir/state"; Dir::State::status "$dir/status";
		Dir::Cache "$dir/cache"; APT::Sandbox::User "root"; APT::Install-Recommends "false";
		Acquire::Languages "none"; Acquire::Retries "3";
	E
	export APT_CONFIG=$dir/apt.conf
}

debian_links() {
	local root=$1 d
	for d in bin sbin lib lib64; do
		mkdir -p "$root/usr/$d"
		ln -sfn "usr/$d" "$root/$d"
	done
}

debian_unpack() {
	local root=$1 deb
	shift
	for deb in "$@"; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink --no-same-owner \
			--exclude ./usr/share/doc --exclude ./usr/share/man --exclude ./usr/share/locale
	done
}
