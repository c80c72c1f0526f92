#!/usr/bin/env bash
# Programs that some tests call: dciodvfy (dicom3tools), pdftotext (poppler-utils), Orthanc with its DICOMweb plugin
# (started by the tests with a configuration of their own). Installed where that is possible without asking; otherwise
# the line to type is printed and those tests are skipped.
set -u
missing=()
command -v dciodvfy >/dev/null || missing+=(dicom3tools)
command -v pdftotext >/dev/null || missing+=(poppler-utils)
command -v Orthanc >/dev/null || missing+=(orthanc)
[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing+=(orthanc-dicomweb)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing ${missing[*]} ..."
  if apt-get install -y -qq "${missing[@]}" >/dev/null 2>&1 ||
    { apt-get update -qq >/dev/null 2>&1 && apt-get install -y -qq "${missing[@]}" >/dev/null 2>&1; }; then
    exit 0
  fi
fi
echo "Some tests need: ${missing[*]}. Type: sudo apt-get install ${missing[*]}"
[ "${CI:-}" = true ] && exit 1
exit 0
