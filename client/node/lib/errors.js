// What ends an attempt, and what a feed says when it cannot go on.

class Named extends Error {
	constructor(message, options) {
		super(message, options);
		this.name = new.target.name;
	}
}

export class StopWork extends Named {}
export class LeaseLost extends StopWork {}
export class Cancelled extends StopWork {}
export class Stopping extends StopWork {}
export class WaitsForPerson extends StopWork {}

export class Retry extends Named {
	constructor(reason, after) {
		super(reason);
		this.after = after;
	}
}

export class CursorRefused extends Named {}
