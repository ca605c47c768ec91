{{- /* What no pattern can say of a network: that it is one, and has no bits set behind its prefix. Empty where all is well, else what is wrong. */ -}}
{{- define "tapedeck.networkMistake" -}}
{{- $parts := splitList "/" . -}}
{{- $address := first $parts -}}
{{- $zeros := list "0" "0" "0" "0" "0" "0" "0" "0" -}}
{{- $groups := list -}}
{{- $width := 8 -}}
{{- if contains ":" $address -}}
{{- $width = 16 -}}
{{- /* The last 32 bits may be written as IPv4. */ -}}
{{- $v4 := regexFind "[0-9]+(\\.[0-9]+){3}$" $address -}}
{{- if $v4 -}}
{{- $o := splitList "." $v4 -}}
{{- $address = printf "%s%x:%x" (trimSuffix $v4 $address) (add (mul 256 (index $o 0 | atoi)) (index $o 1 | atoi)) (add (mul 256 (index $o 2 | atoi)) (index $o 3 | atoi)) -}}
{{- end -}}
{{- $sides := splitList "::" $address -}}
{{- $left := without (splitList ":" (first $sides)) "" -}}
{{- $right := without (splitList ":" (rest $sides | join "")) "" -}}
{{- $written := add (len $left) (len $right) | int -}}
{{- if or (gt (len $sides) 2) (and (eq (len $sides) 1) (ne $written 8)) (and (eq (len $sides) 2) (gt $written 7)) (not (regexMatch "^([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4})*)?(::([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4})*)?)?$" $address)) -}}
is no address
{{- else -}}
{{- $groups = concat $left (slice $zeros 0 (sub 8 $written | int)) $right -}}
{{- end -}}
{{- else -}}
{{- $groups = splitList "." $address -}}
{{- end -}}
{{- if and $groups (gt (len $parts) 1) -}}
{{- $prefix := last $parts | atoi -}}
{{- $behind := false -}}
{{- range $at, $group := $groups -}}
{{- $free := max 0 (min $width (sub (mul (add $at 1) $width) $prefix)) | int -}}
{{- $span := 1 -}}
{{- range until $free -}}{{- $span = mul 2 $span -}}{{- end -}}
{{- $value := eq $width 16 | ternary (printf "0x%s" $group) $group | int64 -}}
{{- if ne 0 (mod $value $span | int) -}}{{- $behind = true -}}{{- end -}}
{{- end -}}
{{- if $behind -}}
has bits set behind its prefix: the services take no such network
{{- end -}}
{{- end -}}
{{- end -}}
