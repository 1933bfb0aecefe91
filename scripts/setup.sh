#!/bin/bash
# Installs the Debian packages that the project needs: nothing else, nothing outside apt. Uses sudo only when a package
# is missing and the caller is not root. When nothing is missing it ends in well under a second.
set -euo pipefail

packages=(
  build-essential cmake ninja-build ccache     # compiler and build
  libeigen3-dev                                # plain linear algebra inside the library
  libcli11-dev nlohmann-json3-dev              # options and JSON of the programs
  pkg-config libstb-dev                        # images
  libavformat-dev libavcodec-dev libavfilter-dev libavutil-dev libswscale-dev libswresample-dev  # video, other images
  libcurl4-openssl-dev                         # HTTP
  libgtest-dev libgmock-dev libbenchmark-dev   # tests and benchmarks
  libcpp-httplib-dev                           # the web site that the tests scrape
  clang-format clang-tidy                      # style checks, part of the tests
)
# The browser that image searches are driven with. Ubuntu's packages bring it as a snap.
if grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null; then
  packages+=(chromium-browser chromium-chromedriver)
else
  packages+=(chromium chromium-driver)
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "error: setup.sh: this is not a Debian-like system (no dpkg-query or apt-get here)." >&2
  echo "Install what these Debian packages hold, then build with cmake: ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  # Both a plain name and name:architecture are listed; one of them installed is enough.
  status=$(dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null || true)
  [[ $status == *installed* && $status != *not-installed* ]] || missing+=("$package")
done
# Where apt cannot install snaps (containers), Ubuntu's packages of the browser are scripts that ask for one.
tell_missing_snap() {
  if [[ ${packages[*]} == *chromium-browser* && ! -x /snap/bin/chromium ]]; then
    echo "setup: the browser is missing still, without which no images can be searched: sudo snap install chromium" >&2
  fi
}
if ((${#missing[@]} == 0)); then
  echo "setup: all ${#packages[@]} packages are installed"
  tell_missing_snap
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "error: setup.sh: missing ${missing[*]}, and installing them needs root or sudo" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
tell_missing_snap
echo "setup: done"
