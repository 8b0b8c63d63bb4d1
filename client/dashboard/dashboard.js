/*
 * What makes the dashboard's pages live. They can be read without it: the
 * server sends them complete. This asks for Server-Sent Events, and changes
 * what has changed; shows times in the reader's zone; and follows a log.
 */
'use strict';

const live = document.getElementById('live');
const log = document.getElementById('log');
const state = document.getElementById('state');
const token = document.querySelector('meta[name=token]').content;
/* So many events stay on a page that is followed. */
const MOST_EVENTS = 2000;

/* Times: the text in the reader's zone; the title keeps them in UTC. */
function localTimes(root) {
	for (const time of root.querySelectorAll('time:not([data-local])')) {
		const at = new Date(time.dateTime);
		if (isNaN(at))
			continue;
		const today = at.toDateString() === new Date().toDateString();
		time.textContent = today ? at.toLocaleTimeString() : at.toLocaleString();
		time.dataset.local = '';
	}
}

/* Forms that came after the page have its token too. */
function prepare(root) {
	localTimes(root);
	for (const input of root.querySelectorAll('input[name=token]'))
		input.value = token;
}

/*
 * Makes what is there like what is new, and touches nothing else: the focus,
 * what is folded, marked or being written stays.
 */
function sameKind(old, fresh) {
	return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.id || '') === (fresh.id || '');
}

function morph(old, fresh) {
	if (old.isEqualNode(fresh))
		return;
	if (old.nodeType !== Node.ELEMENT_NODE) {
		old.nodeValue = fresh.nodeValue;
		return;
	}
	if (/^(INPUT|TEXTAREA|SELECT|DATALIST)$/.test(old.nodeName))
		return;
	for (const { name, value } of [...fresh.attributes])
		if (!(old.nodeName === 'DETAILS' && name === 'open') && old.getAttribute(name) !== value)
			old.setAttribute(name, value);
	for (const { name } of [...old.attributes])
		if (!fresh.hasAttribute(name) && !(old.nodeName === 'DETAILS' && name === 'open'))
			old.removeAttribute(name);
	morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
	const kept = new Map();
	for (const child of old.children)
		if (child.id)
			kept.set(child.id, child);
	let at = old.firstChild;
	for (const child of [...fresh.childNodes]) {
		const known = child.id ? kept.get(child.id) : undefined;
		if (known && known !== at && known.nodeName === child.nodeName)
			at = old.insertBefore(known, at);
		if (at && sameKind(at, child)) {
			morph(at, child);
			at = at.nextSibling;
		} else
			old.insertBefore(child, at);
	}
	while (at) {
		const next = at.nextSibling;
		at.remove();
		at = next;
	}
}

function changePart(html) {
	const target = live.dataset.part === 'head' ? document.getElementById('head') : live;
	const fresh = target.cloneNode(false);
	fresh.innerHTML = html;
	prepare(fresh);
	morph(target, fresh);
}

/* The log: events that come are added, and followed by who is at its end. */
let unseen = 0;

function atEnd() {
	return innerHeight + scrollY >= document.documentElement.scrollHeight - 40;
}

function tellNews() {
	let news = document.getElementById('news');
	if (unseen === 0) {
		if (news)
			news.remove();
		return;
	}
	if (!news) {
		news = document.createElement('a');
		news.id = 'news';
		news.href = '#log';
		news.setAttribute('role', 'status');
		news.addEventListener('click', click => {
			click.preventDefault();
			scrollTo(0, document.documentElement.scrollHeight);
		});
		document.body.append(news);
	}
	news.textContent = unseen === 1 ? '1 new event ↓' : `${unseen} new events ↓`;
}

function addEvents(html) {
	const following = atEnd();
	const fresh = document.createElement('ol');
	fresh.innerHTML = html;
	prepare(fresh);
	for (const event of [...fresh.children]) {
		if (document.getElementById(event.id))
			continue;
		log.append(event);
		unseen++;
	}
	const empty = document.getElementById('no-events');
	if (empty && log.children.length > 0)
		empty.remove();
	if (following) {
		while (log.children.length > MOST_EVENTS)
			log.firstElementChild.remove();
		scrollTo(0, document.documentElement.scrollHeight);
		unseen = 0;
	}
	tellNews();
}

addEventListener('scroll', () => {
	if (unseen > 0 && atEnd()) {
		unseen = 0;
		tellNews();
	}
}, { passive: true });

/* The connection. A page that nobody looks at has none: browsers allow only a few. */
let source = null;
let retry = 0;

function say(text, link) {
	state.textContent = text;
	if (link) {
		const a = document.createElement('a');
		a.href = link;
		a.textContent = ' Log in';
		state.append(a);
	}
}

function lastEvent() {
	return log && log.lastElementChild ? Number(log.lastElementChild.id.slice(1)) : 0;
}

function disconnect() {
	if (source)
		source.close();
	source = null;
	clearTimeout(retry);
}

/* Refused or not there: which of them, the browser does not tell. */
async function lookWhy() {
	try {
		const answer = await fetch('/live', { cache: 'no-store' });
		if (answer.status === 401) {
			ended();
			return;
		}
		say('The page is not told of changes; trying again.');
	} catch {
		say('The dashboard does not answer; trying again.');
	}
	retry = setTimeout(connect, 1000);
}

function ended() {
	disconnect();
	say('Your session has ended.', '/login?next=' + encodeURIComponent(location.pathname + location.search));
}

function connect() {
	disconnect();
	if (document.hidden)
		return;
	const page = location.pathname + location.search.replace(/([?&])done=[a-z]*/, '$1');
	/* Whose log is not at its end wants no events: they would be all that follow. */
	source = new EventSource('/live?page=' + encodeURIComponent(page) + (log && log.dataset.end ? '&after=' + lastEvent() : ''));
	source.onopen = () => say('');
	source.onerror = () => {
		disconnect();
		lookWhy();
	};
	source.addEventListener('part', event => changePart(event.data));
	source.addEventListener('events', event => addEvents(event.data));
	source.addEventListener('away', event => say('The database does not answer; trying again. ' + event.data));
	source.addEventListener('back', () => say(''));
	source.addEventListener('reload', () => location.reload());
	source.addEventListener('end', ended);
}

if (live && token) {
	connect();
	document.addEventListener('visibilitychange', () => document.hidden ? disconnect() : connect());
	addEventListener('pagehide', disconnect);
	addEventListener('pageshow', event => event.persisted && connect());
}

/* A button acts once; what takes longer than a moment shows that it does. */
function wait() {
	setTimeout(() => {
		if (document.getElementById('spinner'))
			return;
		const spinner = document.createElement('div');
		spinner.id = 'spinner';
		spinner.setAttribute('role', 'status');
		spinner.setAttribute('aria-label', 'Loading');
		document.body.append(spinner);
	}, 300);
}

addEventListener('submit', event => {
	const form = event.target;
	if (form.dataset.sent) {
		event.preventDefault();
		return;
	}
	form.dataset.sent = 'true';
	wait();
});
addEventListener('click', event => {
	const link = event.target.closest('a[href]');
	if (link && link.origin === location.origin && !link.hash && !link.hasAttribute('download') && !link.target &&
		!event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0)
		wait();
});
addEventListener('pageshow', () => {
	for (const form of document.forms)
		delete form.dataset.sent;
	const spinner = document.getElementById('spinner');
	if (spinner)
		spinner.remove();
});

prepare(document);
