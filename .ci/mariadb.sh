#!/usr/bin/env bash
# Installs the MariaDB server program, which the tests of the look-ups in MySQL start themselves. It starts no service.
set -euo pipefail

if command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ]; then
  exit 0
fi
command -v apt-get >/dev/null || { echo "ci: there is no mariadbd and no apt-get to install it with"; exit 1; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -qy --no-install-recommends mariadb-server-core
command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ]
