"""What is fetched: one data row per program we need, nothing else.

Every set becomes a tree of its own (its own C library, its own loader), so sets never get in each other's way
and a set fetched later does not change one that runs. Maintainer scripts do not run in a tree, so packages
that only those scripts need are not even downloaded.
"""

import re
from dataclasses import dataclass

# Only maintainer scripts, administration or interpreters we never start.
_NEVER = (
    r"perl|libperl|python3|libpython3|debconf|libdebconf|adduser|passwd|base-passwd|login\.defs|libsemanage|libsepol"
    r"|gnupg|gpg|dirmngr|pinentry|libgpgme|libgmime|libgdbm|lib.*-perl$|ucf$|sensible-utils|media-types"
    r"|libc-gconv|libc-bin|libc-l10n|locales|systemd$|sysvinit|procps|libproc2|libsystemd-shared|ssl-cert|openssl$"
)


@dataclass(frozen=True)
class PackageSet:
    """Debian packages that make one tree.

    `without` is a regular expression on package names (matched from the start) that are left out although
    something depends on them; `prune` are globs, relative to the tree, deleted after unpacking; `links` are
    symbolic links that maintainer scripts would have made, as (where, target). `program` must exist
    afterwards, or the set is not usable.
    """

    name: str
    packages: tuple[str, ...]
    program: str
    without: str = ""
    prune: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()

    def wants(self, package: str) -> bool:
        """Whether a package that apt resolved is downloaded for this set."""
        pattern = f"{_NEVER}|{self.without}" if self.without else _NEVER
        return package in self.packages or re.match(f"(?:{pattern})", package) is None


ENGINE = PackageSet(
    name="engine",
    packages=("asterisk", "asterisk-core-sounds-en-wav", "flite"),
    program="usr/sbin/asterisk",
    # Libraries of modules that our modules.conf never loads: calendars, SNMP, TDS, LDAP, sound cards, fax.
    without=(
        r"libsnmp|libsensors|libpci|pci\.ids|libicu|libical|libneon|freetds|libsybdb|libcodec2|libjack|libportaudio"
        r"|libsasl2|libkrb5|libgssapi|libk5crypto|libgnutls|libp11|libnettle|libhogweed|libgmp|libglib2|libmount|libblkid"
        r"|libcurl|libssh2|libngtcp2|libnghttp|libunbound|libldap|libtiff|libwebp|libjpeg|libsharpyuv|libspandsp|libpq|liblua"
        r"|libdb5|libradcli|libiksemel|libvo-amrwb|libopencore|libnl-|libudev|libgcrypt|libgpg-error|libksba|libassuan|libpam|libaudit|libcap-ng|tzdata"
    ),
    prune=(
        "usr/bin/flite_*",
        "usr/bin/t2p",
        "usr/lib/*/libflite_cmu_time_awb*",
        "usr/lib/*/libflite_cmu_indic*",
        "usr/share/asterisk/conf",
        "etc",
    ),
    links=(("usr/share/asterisk/sounds/en", "en_US_f_Allison"),),
)

PHONES = PackageSet(
    name="phones",
    packages=("baresip-core", "sip-tester"),
    program="usr/bin/baresip",
    without=(
        r"libcodec2|libjack|libportaudio|libvpx|libglib2|libmount|libblkid|libsndio|libdb5|libsqlite3|tzdata|libopencore"
        r"|libvo-|libtiff|libwebp|libjpeg|libsharpyuv|libspandsp|libopenaptx|libmosquitto"
    ),
    prune=("etc", "usr/share/alsa"),
)

SERVERS = PackageSet(
    name="servers",
    packages=("postgresql", "redis-server"),
    program="usr/bin/redis-server",
    # Just-in-time compilation, and what only a packaged service needs.
    without=(
        r"libllvm|postgresql-common|postgresql-client-common|libz3|libedit|libxslt|libicu-dev|libgcrypt|libgpg-error"
        r"|logrotate|cron|libpopt|readline-common|netbase|lsb-base|init-system-helpers|libjson-perl|libipc|iproute2"
    ),
    prune=("etc", "usr/share/doc", "usr/lib/postgresql/*/lib/bitcode", "usr/lib/postgresql/*/lib/llvmjit*"),
)

SETS = {one.name: one for one in (ENGINE, PHONES, SERVERS)}
