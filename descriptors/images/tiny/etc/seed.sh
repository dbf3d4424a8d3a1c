# shellcheck shell=dash disable=SC2086,SC3043
# The day-0 seed: finds it, reads it, applies it. Sourced by /etc/rc.
# Understands NoCloud (label cidata) and OpenStack config-drive (label config-2) on ISO9660 or FAT.
# /etc/flat.awk turns each file into lines "path=value"; get and keys read these without a fork and
# answer in $REPLY.

SEED_KIND=none
SEED=/run/seed

# get FILE PATH: the value at PATH, or nothing. In it \n is a newline and \\ a backslash, as printf %b has it.
get() {
    REPLY=
    while IFS= read -r line; do
        case $line in "$2="*) REPLY=${line#"$2="}; return ;; esac
    done <"$1"
}

# keys FILE PATH: the distinct names right below PATH, in the order they were written.
keys() {
    REPLY=
    while IFS= read -r line; do
        case $line in
            "$2"/*)
                line=${line#"$2"/}
                line=${line%%[/=]*}
                case " $REPLY " in *" $line "*) ;; *) REPLY="$REPLY $line" ;; esac
                ;;
        esac
    done <"$1"
}

flat() { awk -f /etc/flat.awk "$1" >"$2"; }

# label DEVICE OFFSET: does the volume label at OFFSET name a seed?
label() {
    case $(dd if="$1" bs=1 skip="$2" count=11 2>/dev/null) in
        [Cc][Ii][Dd][Aa][Tt][Aa]*) SEED_KIND=nocloud ;;
        [Cc][Oo][Nn][Ff][Ii][Gg]-2*) SEED_KIND=configdrive ;;
        *) return 1 ;;
    esac
}

# seed_mount GLOB...: mounts the first disk or partition of these that is a seed.
# The labels sit at 32808 (ISO9660), 43 (FAT12/16) and 71 (FAT32).
seed_mount() {
    local sys dev
    for sys; do
        [ -e "$sys" ] || continue
        dev=/dev/${sys##*/}
        if label "$dev" 32808; then mount -o ro -t iso9660 "$dev" /run/medium && return
        elif label "$dev" 43 || label "$dev" 71; then mount -o ro -t vfat "$dev" /run/medium && return
        fi
    done
    return 1
}

# VirtIO disks are there at once. The drivers for cdroms are loaded, and waited for, only where no
# VirtIO disk is the seed, and only for controllers that the machine has.
seed_find() {
    local controllers='' tries=30 id
    mkdir -p /run/medium $SEED
    if ! seed_mount /sys/block/vd[b-z]* /sys/block/vda /sys/block/vd*/vd*; then
        for f in /sys/bus/pci/devices/*/modalias /sys/bus/virtio/devices/*/modalias; do
            [ -e "$f" ] || continue
            read -r id <"$f"
            case $id in
                pci:*bc01sc06*) controllers="$controllers ahci" ;;
                pci:*bc01sc01*) controllers="$controllers ata_piix" ;;
                virtio:d00000008*) controllers="$controllers virtio_scsi" ;;
            esac
        done
        [ -n "$controllers" ] || return
        modprobe -a -q $controllers sr_mod sd_mod
        until seed_mount /sys/block/sr* /sys/block/sd* /sys/block/sd*/sd*; do
            tries=$((tries - 1))
            [ $tries -gt 0 ] || { SEED_KIND=none; return; }
            usleep 100000
        done
    fi
    case $SEED_KIND in
        nocloud) seed_files meta-data user-data network-config ;;
        configdrive) seed_files openstack/latest/meta_data.json openstack/latest/user_data openstack/latest/network_data.json ;;
    esac
    umount /run/medium
}

# seed_files META USER NETWORK: copies what the medium has into $SEED, YAML and JSON flattened.
seed_files() {
    [ ! -s "/run/medium/$1" ] || flat "/run/medium/$1" $SEED/meta
    [ ! -s "/run/medium/$2" ] || cp "/run/medium/$2" $SEED/user-data
    [ ! -s "/run/medium/$3" ] || flat "/run/medium/$3" $SEED/network
}

seed_hostname() {
    [ -e $SEED/meta ] || return
    for key in local-hostname hostname name; do
        get $SEED/meta $key
        [ -z "$REPLY" ] || { set_hostname "$REPLY"; return; }
    done
}
set_hostname() {
    echo "$1" >/proc/sys/kernel/hostname
    echo "$1" >/etc/hostname
    printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n' "$1" >/etc/hosts
}

# nic MAC-OR-NAME: the interface that has this address or this name, in $REPLY.
nic() {
    local want=$1 mac i
    REPLY=
    [ -n "$want" ] || return
    case $want in *:*[A-F]* | *[A-F]*:*) want=$(echo "$want" | tr 'A-F' 'a-f') ;; esac
    for i in /sys/class/net/*; do
        read -r mac <"$i/address"
        [ "${i##*/}" = "$want" ] || [ "$mac" = "$want" ] || continue
        REPLY=${i##*/}
        return
    done
}

seed_network() {
    if [ ! -e $SEED/network ]; then
        # As cloud-init does: no word about the network means DHCP on the first NIC.
        [ $SEED_KIND = none ] || [ ! -e /sys/class/net/eth0 ] || { up eth0; dhcp eth0; }
        return
    fi
    local base n
    for base in ethernets network/ethernets; do
        keys $SEED/network $base
        for n in $REPLY; do ethernet_v2 "$base/$n" "$n"; done
    done
    for base in vlans network/vlans; do
        keys $SEED/network $base
        for n in $REPLY; do vlan_v2 "$base/$n" "$n"; done
    done
    keys $SEED/network networks
    for n in $REPLY; do network_openstack "networks/$n"; done
}

dhcp() { udhcpc -b -S -t 8 -T 1 -A 5 -i "$1" -s /etc/udhcpc.script >/dev/null 2>&1 & }

# up NIC [MTU]: address checks (DAD) are off, they would hold an IPv6 address back for a second.
up() {
    echo 0 >"/proc/sys/net/ipv6/conf/$1/accept_dad"
    ip link set "$1" ${2:+mtu $2} up
}
address() { case $2 in *:*) ip -6 addr add "$2" dev "$1" ;; *) ip addr add "$2" brd + dev "$1" ;; esac; }
# route NIC TO VIA [METRIC]: TO is a prefix or "default" in one of the ways that seeds spell it.
route() {
    local family=-4 to=$2
    case $3 in *:*) family=-6 ;; esac
    case $2 in 0.0.0.0/0 | ::/0) to=default ;; esac
    ip $family route add "$to" via "$3" dev "$1" ${4:+metric $4}
}

# ethernet_v2 PATH ID: one NIC of a network-config version 2.
ethernet_v2() {
    local f=$SEED/network e=$1 dev to via n
    get $f "$e/match/macaddress"; nic "$REPLY"
    [ -n "$REPLY" ] || { get $f "$e/match/name"; nic "$REPLY"; }
    [ -n "$REPLY" ] || nic "$2"
    dev=$REPLY
    [ -n "$dev" ] || { echo "network-config: no NIC for $2" >/dev/console; return; }
    get $f "$e/set-name"
    [ -z "$REPLY" ] || [ "$REPLY" = "$dev" ] || { ip link set "$dev" name "$REPLY" && dev=$REPLY; }
    get $f "$e/mtu"; up "$dev" "$REPLY"
    keys $f "$e/addresses"
    for n in $REPLY; do get $f "$e/addresses/$n"; address "$dev" "$REPLY"; done
    for n in gateway4 gateway6; do
        get $f "$e/$n"
        [ -z "$REPLY" ] || route "$dev" default "$REPLY"
    done
    keys $f "$e/routes"
    for n in $REPLY; do
        get $f "$e/routes/$n/to"; to=$REPLY
        get $f "$e/routes/$n/via"; via=$REPLY
        get $f "$e/routes/$n/metric"; route "$dev" "$to" "$via" "$REPLY"
    done
    keys $f "$e/nameservers/addresses"
    for n in $REPLY; do get $f "$e/nameservers/addresses/$n"; echo "nameserver $REPLY" >>/etc/resolv.conf; done
    get $f "$e/dhcp4"
    case $REPLY in true | yes) dhcp "$dev" ;; esac
}

# vlan_v2 PATH NAME: what an NIC has under a tag.
vlan_v2() {
    local id link
    get $SEED/network "$1/id"; id=$REPLY
    get $SEED/network "$1/link"; link=$REPLY
    modprobe -q 8021q
    ip link set "$link" up && ip link add link "$link" name "$2" type vlan id "$id" && ethernet_v2 "$1" "$2"
}

# prefix_of NETMASK: the length, in $REPLY, of 255.255.255.0 or ffff:ffff:: or of what is a length already.
prefix_of() {
    local left=$1 part sep=.
    REPLY=0
    case $1 in *:*) sep=: ;; *.*) ;; *) REPLY=$1; return ;; esac
    while [ -n "$left" ]; do
        part=${left%%"$sep"*}
        case $left in *"$sep"*) left=${left#*"$sep"} ;; *) left= ;; esac
        case $sep in :) part=$((0x${part:-0})) ;; esac
        while [ $part -gt 0 ]; do REPLY=$((REPLY + part % 2)) part=$((part / 2)); done
    done
}

# network_openstack PATH: one entry of network_data.json's networks.
network_openstack() {
    local f=$SEED/network n=$1 link dev='' ip to r
    get $f "$n/link"; link=$REPLY
    keys $f links
    for r in $REPLY; do
        get $f "links/$r/id"
        [ "$REPLY" = "$link" ] || continue
        get $f "links/$r/ethernet_mac_address"; nic "$REPLY"; dev=$REPLY
        get $f "links/$r/mtu"
        [ -z "$dev" ] || up "$dev" "$REPLY"
    done
    [ -n "$dev" ] || { echo "network_data.json: no NIC for link $link" >/dev/console; return; }
    get $f "$n/type"
    case $REPLY in
        ipv4_dhcp) dhcp "$dev" ;;
        ipv4 | ipv6)
            get $f "$n/ip_address"; ip=$REPLY
            case $ip in */*) ;; *) get $f "$n/netmask"; prefix_of "$REPLY"; ip=$ip/$REPLY ;; esac
            address "$dev" "$ip"
            get $f "$n/gateway"
            [ -z "$REPLY" ] || route "$dev" default "$REPLY"
            keys $f "$n/routes"
            for r in $REPLY; do
                get $f "$n/routes/$r/network"; to=$REPLY
                [ -n "$to" ] || continue
                get $f "$n/routes/$r/netmask"; prefix_of "$REPLY"; to=$to/$REPLY
                get $f "$n/routes/$r/gateway"; route "$dev" "$to" "$REPLY"
            done
            ;;
    esac
}

# A script is run as it is; a #cloud-config gives hostname, write_files, bootcmd and runcmd.
seed_user_data() {
    [ -s $SEED/user-data ] || return
    IFS= read -r first <$SEED/user-data
    case $first in
        '#!'*) chmod +x $SEED/user-data; user_run $SEED/user-data ;;
        '#cloud-config'*) cloud_config ;;
        *) echo "user-data: neither a script nor #cloud-config, left alone" >/dev/console ;;
    esac
}
user_run() { "$@" </dev/null >>/run/user-data.log 2>&1 || echo "user-data: ended with code $?, see /run/user-data.log" >/dev/console; }

cloud_config() {
    local f=$SEED/cloud-config n path list word words
    flat $SEED/user-data $f
    get $f hostname
    [ -z "$REPLY" ] || set_hostname "$REPLY"
    keys $f write_files
    for n in $REPLY; do
        get $f "write_files/$n/path"; path=$REPLY
        [ -d "${path%/*}/" ] || mkdir -p "${path%/*}"
        get $f "write_files/$n/append"
        case $REPLY in true | yes) ;; *) : >"$path" ;; esac
        get $f "write_files/$n/encoding"; word=$REPLY
        get $f "write_files/$n/content"
        case $word in
            b64 | base64) printf %b "$REPLY" | base64 -d >>"$path" ;;
            *) printf %b "$REPLY" >>"$path" ;;
        esac
        get $f "write_files/$n/permissions"
        [ -z "$REPLY" ] || chmod "$REPLY" "$path"
    done
    for list in bootcmd runcmd; do
        keys $f $list
        for n in $REPLY; do
            keys $f "$list/$n"; words=$REPLY
            set --
            for word in $words; do get $f "$list/$n/$word"; set -- "$@" "$(printf %b "$REPLY")"; done
            [ $# -gt 0 ] || { get $f "$list/$n"; set -- sh -c "$(printf %b "$REPLY")"; }
            user_run "$@"
        done
    done
}
