#!/bin/sh
# Says what to install when the machine has no OpenSSH server, or installs it
# where apt-get may. The tests of sources start it on the loopback themselves,
# with a configuration and keys of their own: the machine's stays off.
set -eu

have() { [ -x /usr/sbin/sshd ] || command -v sshd >/dev/null 2>&1; }

# Nothing may begin to listen for the world because somebody ran tests: the
# package's service is not started, neither now nor at the next boot.
install() {
    policy=/usr/sbin/policy-rc.d
    ours=
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' | $1 tee "$policy" >/dev/null
        $1 chmod 755 "$policy"
    fi
    ok=yes
    { $1 apt-get update -qq && $1 env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openssh-server >/dev/null; } || ok=
    [ -z "$ours" ] || $1 rm -f "$policy"
    if command -v systemctl >/dev/null 2>&1; then
        $1 systemctl disable ssh.service ssh.socket >/dev/null 2>&1 || true
    fi
    [ -n "$ok" ]
}

have && exit 0
if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        echo "installing OpenSSH's server, which stays off (apt-get install openssh-server)"
        install "" && have && exit 0
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        echo "installing OpenSSH's server, which stays off (sudo apt-get install openssh-server)"
        install "sudo -n" && have && exit 0
    fi
fi
echo "OpenSSH's server is missing, which the tests of sources over ssh start on the loopback. Install it, then run this again:" >&2
echo "    sudo apt-get install openssh-server && sudo systemctl disable --now ssh" >&2
exit 1
