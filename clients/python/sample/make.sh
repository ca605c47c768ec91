#!/bin/sh
# Makes src/tapedeck/sample/speech.flac from text.txt: seven synthetic speakers, 16 kHz mono.
# Needs espeak-ng and sox. The result is kept in the repository, so that a plain clone is whole;
# the voices differ in pitch and speed so that the speech matches itself at one lag only.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
part=0
while IFS= read -r line; do
    case "$line" in
    '#'* | '') ;;
    '@'*)
        voice=$(echo "$line" | cut -d'|' -f1 | tr -d '@ ')
        pitch=$(echo "$line" | cut -d'|' -f2 | tr -d ' ')
        speed=$(echo "$line" | cut -d'|' -f3 | tr -d ' ')
        ;;
    *)
        part=$((part + 1))
        file="$work/$(printf '%02d' "$part").wav"
        printf '%s\n' "$line" | espeak-ng -v "$voice" -p "$pitch" -s "$speed" -a 120 -w "$work/raw.wav"
        # A pause of another length after each speaker, and a faint room, so that no two stretches are alike.
        sox "$work/raw.wav" -r 16000 -c 1 -b 16 "$file" gain -n -4 reverb $((10 + 4 * part)) pad 0 "0.$((2 + part))"
        ;;
    esac
done <"$here/text.txt"
sox "$work"/[0-9][0-9].wav -C 8 "$here/../src/tapedeck/sample/speech.flac" highpass 60 dither -s
soxi "$here/../src/tapedeck/sample/speech.flac"
