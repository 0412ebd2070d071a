/**
 * The state of a lock or a semaphore, which all its programs change by compare-and-set: its holders, and the line of the programs that wait.
 *
 * - A program has at most one confirmed entry among the holders, for all its fibers, and one place in the line, for the first of its
 *   requests. A request is served in the order of the line, even if a later one could be satisfied first.
 * - A program that gives permits back offers them to the first in the line. The offer becomes a holding when that program confirms it;
 *   its lease counts from there.
 * - Only a program itself writes its confirmed entry; another one removes it when it has been silent for the lease.
 *
 * @module
 */

/** A program that has permits. */
export interface Holder {
  readonly program: string;
  readonly permits: number;
  /** Changes with each sign of life. */
  readonly beat: string;
  /** How long the program may be silent, in milliseconds. */
  readonly lease: number;
  readonly pid: number;
  /** Whether the program has not yet confirmed that it takes the permits. */
  readonly offered?: true;
}

/** A program that waits. */
export interface Waiter {
  readonly program: string;
  readonly permits: number;
  readonly lease: number;
  readonly pid: number;
}

/** A lock, whose capacity is 1, or a semaphore. */
export interface Room {
  readonly capacity: number;
  /** Whether the last holder has lost its lease. */
  readonly abandoned: boolean;
  readonly holders: ReadonlyArray<Holder>;
  readonly line: ReadonlyArray<Waiter>;
}

/** The wishes and the knowledge of a program that changes a room. */
export interface Wish {
  readonly program: string;
  readonly pid: number;
  readonly lease: number;
  /** Its next sign of life. */
  readonly beat: string;
  /** The number of permits that the room is to have; `undefined` leaves it. */
  readonly capacity: number | undefined;
  /** Permits that its fibers have. */
  readonly keeps: number;
  /** Permits that it asks for; 0 for none. */
  readonly takes: number;
  /** Whether it lines up for them. */
  readonly waits: boolean;
  /** Permits that it asks for after these; 0 for none. */
  readonly next: number;
  /** Whether it must give a sign of life. */
  readonly renews: boolean;
  /** Whether a fiber has given the lock back that knew whether it was abandoned. */
  readonly clears: boolean;
  /** Whether its lease has run out. Then it keeps nothing. */
  readonly lost: boolean;
  /** Whether a holder has been silent for too long. */
  readonly isSilent: (holder: Holder) => boolean;
}

/** The next state of a room. */
export interface Advance {
  readonly room: Room;
  /** Whether the program gets the permits that it asks for. */
  readonly granted: boolean;
}

const EMPTY: Room = { capacity: 1, abandoned: false, holders: [], line: [] };

const sum = (entries: ReadonlyArray<{ readonly permits: number }>): number =>
  entries.reduce((total, { permits }) => total + permits, 0);

/** The number of free permits. It is negative while programs hold more than a capacity that was reduced. */
export const freeOf = ({ capacity, holders }: Room): number => capacity - sum(holders);

/** The confirmed entry of a program. */
export const holdingOf = (room: Room | undefined, program: string): Holder | undefined =>
  room?.holders.find((holder) => holder.program === program && holder.offered === undefined);

/** The state of a room that was never written, in the eyes of a program that reads it. */
export const roomOf = (room: Room | undefined): Room => room ?? EMPTY;

/** The state that a program writes next; `undefined` if it has nothing to write. */
export const advance = (before: Room | undefined, wish: Wish): Advance | undefined => {
  const { beat, keeps, lease, next, pid, program, takes } = wish;
  const room = before ?? EMPTY;
  const capacity = wish.capacity ?? room.capacity;
  const silent = room.holders.filter((holder) => holder.program !== program && wish.isSilent(holder));
  const own = holdingOf(room, program);
  const offer = room.holders.find((holder) => holder.program === program && holder.offered === true);
  const others = room.holders.filter((holder) => holder.program !== program && !silent.includes(holder));
  const cut = silent.some(({ offered }) => offered === undefined) || wish.lost && own !== undefined;
  const abandoned = cut || room.abandoned && !wish.clears;

  const free = capacity - sum(others) - keeps;
  const isFirst = offer !== undefined || room.line.every((waiter) => waiter.program === program) ||
    room.line[0].program === program;
  const granted = takes > 0 && isFirst && takes <= free;
  const place = room.line.findIndex((waiter) => waiter.program === program);
  const line = [...room.line];
  const wants = granted ? next : wish.waits ? takes : 0;
  if (place !== -1 && (granted || wants === 0)) line.splice(place, 1);
  if (wants > 0) {
    const waiter: Waiter = { program, permits: wants, lease, pid };
    if (place !== -1 && !granted) line[place] = waiter;
    // The permits that were offered are not enough any more: the place in the line is kept.
    else if (offer !== undefined && !granted) line.unshift(waiter);
    else line.push(waiter);
  }

  const has = granted ? keeps + takes : keeps;
  const mine = (sign: string): ReadonlyArray<Holder> =>
    has === 0 ? [] : [{ program, permits: has, beat: sign, lease, pid }];
  let left = free - (granted ? takes : 0);
  const offers: Array<Holder> = [];
  while (line.length > 0 && line[0].program !== program && line[0].permits <= left) {
    const first = line.shift()!;
    left -= first.permits;
    offers.push({ ...first, beat: `${beat}/${offers.length}`, offered: true });
  }
  const written = (sign: string): Room => ({
    capacity,
    abandoned,
    holders: [...mine(sign), ...others, ...offers],
    line,
  });
  const isSame = before !== undefined && !granted && !wish.renews &&
    isAlike(before, written(own?.beat ?? beat));
  const isNothing = before === undefined && has === 0 && line.length === 0 && wish.capacity === undefined;
  return isSame || isNothing ? undefined : { room: written(beat), granted };
};

const isAlike = (a: Room, b: Room): boolean => {
  const sorted = ({ holders, ...rest }: Room) =>
    JSON.stringify([rest.capacity, rest.abandoned, rest.line, holders.map((holder) => JSON.stringify(holder)).sort()]);
  return sorted(a) === sorted(b);
};
