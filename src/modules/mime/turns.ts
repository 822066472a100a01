/** Work of the MIME engine in the turns of a callback. */
import type { LuaState } from 'fengari';
import { hostOf } from '../../lua/engine/host.ts';
import { raise } from '../../lua/lib/arguments.ts';

/** So many that the clock is looked at after each slice, in steps of Host.charge(). */
const STEPS_PER_SLICE = 10_000;

/** Does the work; between two slices of it others may have their turn. It counts as the callback's. */
export function* inTurns<Wait extends void | Promise<void>, Result>(
  L: LuaState,
  work: Generator<Wait, Result, void>,
): Generator<'pause' | Extract<Wait, Promise<void>>, Result, void> {
  const host = hostOf(L);
  for (;;) {
    const { value, done } = next(L, work);
    if (done) return value;
    host.charge(L, STEPS_PER_SLICE);
    yield value instanceof Promise ? (value as Extract<Wait, Promise<void>>) : 'pause';
  }
}

/** What the system says of reading the message becomes an error of the script. */
function next<Wait, Result>(L: LuaState, work: Generator<Wait, Result, void>): IteratorResult<Wait, Result> {
  try {
    return work.next();
  } catch (error) {
    if (!(error instanceof Error) || !('syscall' in error)) throw error;
    return raise(L, `mime: the message cannot be read: ${error.message}`);
  }
}
