# Medians of the rounds, with minimum and maximum: clients, appends a second
# without the feed, and the ratios with it and with notifications.
function sorted(list, n,    i, j, value) {
	for (i = 2; i <= n; i++) {
		value = list[i]
		for (j = i - 1; j > 0 && list[j] > value; j--)
			list[j + 1] = list[j]
		list[j + 1] = value
	}
}
function summary(name, clients,    list, i, n, median) {
	n = count[clients]
	for (i = 1; i <= n; i++)
		list[i] = values[name, clients, i]
	sorted(list, n)
	median = n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
	return sprintf("%.2f (%.2f-%.2f)", median, list[1], list[n])
}
{
	n = ++count[$1]
	if (n == 1)
		order[++cells] = $1
	values["off", $1, n] = $2
	values["on", $1, n] = $3 / $2
	values["notify", $1, n] = $4 / $3
}
END {
	for (i = 1; i <= cells; i++) {
		clients = order[i]
		printf "%d clients: off %s/s, feed on / off %s, notify on / off %s\n", clients,
			summary("off", clients), summary("on", clients), summary("notify", clients)
	}
}
