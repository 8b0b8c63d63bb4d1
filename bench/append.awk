# The tables of bench/append, from what its load measured.
BEGIN {
	FS = "\t"
	columns = split("append_event,append_events,plain INSERT,known; same table,max + 1; retry", names, ",")
	for (i = 1; i <= columns; i++)
		sub(/;/, ",", names[i])
}

{
	cell = $4 FS $3 FS $2
	if (!(cell in seen)) {
		seen[cell] = 1
		cells[++count] = cell
	}
	if ($1 > rounds)
		rounds = $1
	if ($5 == "commit")
		commits[++commit_count] = $7 * 1000
	else {
		rate[cell, $5, $1] = $6 / $7
		cpu[cell, $5, $1] = $9
		retries[cell, $5, $1] = $6 > 0 ? $8 / $6 : 0
	}
}

# Sorts list[1 … n], and returns what lies in the middle.
function median(list, n,    i, j, value) {
	for (i = 2; i <= n; i++) {
		value = list[i]
		for (j = i - 1; j > 0 && list[j] > value; j--)
			list[j + 1] = list[j]
		list[j + 1] = value
	}
	return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function median_of(values, cell, way,    list, n, i) {
	for (i = 1; i <= rounds; i++)
		if ((cell, way, i) in values)
			list[++n] = values[cell, way, i]
	return n ? median(list, n) : 0
}

# The ratio of two ways: median (minimum–maximum) of the rounds.
function ratio(cell, way, base,    list, n, i, middle) {
	for (i = 1; i <= rounds; i++)
		if (rate[cell, base, i] > 0)
			list[++n] = rate[cell, way, i] / rate[cell, base, i]
	if (!n)
		return "–"
	middle = median(list, n)
	medians[cell, way, base] = middle
	return sprintf("%.2f (%.2f–%.2f)", middle, list[1], list[n])
}

function heading(title, first, last, more,    i, line) {
	printf "\n%s\n\n| rows | workflows | clients |", title
	line = "|---|---|---|"
	for (i = first; i <= last; i++) {
		printf " %s |", i ? names[i] : "known sequence"
		line = line "---|"
	}
	print (more ? " " more " |\n" line "---|" : "\n" line)
}

function row(cell,    part) {
	split(cell, part, FS)
	printf "| %s | %s | %s |", part[1], part[2], part[3]
}

function target(cell, way, wanted, what,    reached) {
	if (!((cell, way, "known sequence") in medians))
		return
	reached = medians[cell, way, "known sequence"]
	printf "| %s | %.2f | %.2f | %s |\n", what, wanted, reached, (reached >= wanted ? "yes" : "no")
}

END {
	middle = median(commits, commit_count)
	printf "A commit of nothing else took %.2f ms (%.2f–%.2f).\n", middle, commits[1], commits[commit_count]

	heading("Throughput relative to the INSERT of a known sequence (its transactions per second in the first column):", 0, columns)
	for (c = 1; c <= count; c++) {
		row(cells[c])
		printf " %.0f |", median_of(rate, cells[c], "known sequence")
		for (i = 1; i <= columns; i++)
			printf " %s |", ratio(cells[c], names[i], "known sequence")
		print ""
	}

	heading("Throughput relative to max + 1 with retry:", 1, 3, "retries per transaction")
	for (c = 1; c <= count; c++) {
		row(cells[c])
		for (i = 1; i <= 3; i++)
			printf " %s |", ratio(cells[c], names[i], names[columns])
		printf " %.2f |\n", median_of(retries, cells[c], names[columns])
	}

	heading("Microseconds of the server's CPU for a transaction:", 0, columns)
	for (c = 1; c <= count; c++) {
		row(cells[c])
		for (i = 0; i <= columns; i++)
			printf " %.0f |", median_of(cpu, cells[c], i ? names[i] : "known sequence")
		print ""
	}

	print "\nWhat is to be reached:\n\n| | at least | reached | |\n|---|---|---|---|"
	target(1 FS 1 FS 1, "append_event", 0.95, "append_event, 1 client, 1 workflow")
	target(1 FS 200 FS 1, "append_event", 0.95, "append_event, 1 client, 200 workflows")
	target(1 FS 1 FS 16, "append_event", 0.33, "append_event, 16 clients, 1 workflow")
	target(1 FS 200 FS 16, "append_event", 1, "append_event, 16 clients, 200 workflows")
	target(100 FS 200 FS 16, "append_events", 1.2, "append_events of 100, 16 clients, 200 workflows")
}
