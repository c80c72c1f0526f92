#!/usr/bin/env bash
# Programs that some tests call: dciodvfy (dicom3tools), pdftotext (poppler-utils), Chromium, Orthanc with its DICOMweb
# plugin and a PostgreSQL server (both started by the tests with settings of their own). Installed where that is possible
# without asking; otherwise the line to type is printed and those tests are skipped.
set -u
missing=()
command -v dciodvfy >/dev/null || missing+=(dicom3tools)
command -v pdftotext >/dev/null || missing+=(poppler-utils)
command -v Orthanc >/dev/null || missing+=(orthanc)
command -v chromium >/dev/null || missing+=(chromium fonts-liberation)
[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing+=(orthanc-dicomweb)
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing ${missing[*]} ..."
  export DEBIAN_FRONTEND=noninteractive
  # The tests start a server of their own; the package must not start another one.
  if [[ " ${missing[*]} " = *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
    mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
  fi
  if apt-get install -y -qq -o Dpkg::Options::=--force-confold "${missing[@]}" >/dev/null 2>&1 ||
    { apt-get update -qq >/dev/null 2>&1 && apt-get install -y -qq -o Dpkg::Options::=--force-confold "${missing[@]}" >/dev/null 2>&1; }; then
    exit 0
  fi
fi
echo "Some tests need: ${missing[*]}. Type: sudo apt-get install ${missing[*]}"
[ "${CI:-}" = true ] && exit 1
exit 0
