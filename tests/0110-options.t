#!/bin/sh
# Options of every program: a word that is none of theirs is refused in one line that names option and word, before
# anything is written. The tables of the sources say which options there are.
. "${0%/*}/lib.sh"

# rows FILE...: name, type and argument of each row of an option table
rows() {
	awk '
	/^\t\{ .*, OPT_[A-Z0-9]*,/ {
		row = $0
		while (row !~ /\},$/ && (getline more) > 0)
			row = row more
		split(row, part, ", *")
		gsub(/"/, "", part[2])
		gsub(/"/, "", part[5])
		if (part[2] != "NULL")
			print part[2], part[3], part[5]
	}' "$@"
}
# words TYPE ARGUMENT: what an option of this type does not take; EMPTY stands for none
words() {
	case $1:$2 in
	OPT_INT:* | OPT_U64:*) echo 5x nan 1e99 EMPTY ;;
	OPT_FLOAT:*) echo 5x nan 1e999 EMPTY ;;
	OPT_SIZE:*) echo 5x -1 nan EMPTY ;;
	OPT_CHOICE:*) echo wrong EMPTY ;;
	OPT_SHARD:*) echo 0/1 1 x/y EMPTY ;;
	OPT_STR:TEXT | OPT_LIST:TEXT) ;;
	OPT_STR:* | OPT_LIST:*) echo EMPTY ;;
	OPT_FLAG:*) echo 1 ;;
	OPT_REFUSED:*) echo anything ;;
	esac
}
: >empty
for f in "$top"/bin/*.c; do
	name=${f##*/}
	name=${name%.c}
	table=$f
	[ "$name" != sdtrain ] || table=$top/lib/model/sd_options.c
	rows "$table" >options
	{
		n=0
		while read -r option type argument; do
			for word in $(words "$type" "$argument"); do
				n=$((n + 1))
				[ "$word" != EMPTY ] || word=
				$name "--$option=$word" <empty >out 2>err
				got=$?
				want="$name: --$option: '$word' *"
				case $type in
				OPT_STR | OPT_LIST) want="$name: --$option: its argument is empty; *" ;;
				OPT_FLAG) want="$name: option '--$option=1' takes no argument; *" ;;
				OPT_REFUSED) want="$name: --$option: *" ;;
				esac
				# shellcheck disable=SC2254 # a pattern it is
				case $got,$(wc -l <err),$(cat out err) in
				2,1,$want) ;;
				*) echo "--$option=$word: exit $got: $(cat out err)" ;;
				esac
			done
		done
		[ $n -gt 3 ] || echo "only $n words tried"
	} <options >wrong
	is "$name refuses what its options do not take" "$(cat wrong)" ''
	is "$name: -- ends the options" "$("$name" -- --none <empty 2>&1 | grep -c 'unknown')" 0
done
is 'nothing was written' "$(find . -mindepth 1 ! -name '.*' | sort | tr '\n' ' ')" './empty ./err ./options ./out ./wrong '
rc 2 'two options that begin so' csvrec --no out
like 'are told' "$(cat stderr)" "csvrec: unknown or ambiguous option '--no'; *"
printf 'a,b\n1,2\n' >t.csv
is 'a beginning that is clear will do, with = or without' \
    "$(csvrec --fie b t.csv; csvrec --fie=b t.csv; csvrec -fb t.csv)" "$(for i in 1 2 3; do echo '{"b":"2"}'; done)"
is 'the last of two counts' "$(csvrec -f a --fields b t.csv)" '{"b":"2"}'
is 'a flag can be taken back' "$(csvrec -n --no-numbers t.csv)" '{"a":"1","b":"2"}'
done_testing
