/** What stands in for a service in the world of a test, and the functions of the library `test` that fill it. */
import type { LuaState } from 'fengari';
import type { Answer } from '../asking/answer.ts';
import type { Clock } from '../services/clock.ts';
import type { ServiceName, Services } from '../services/services.ts';
import type { ApiFunction } from './entry.ts';

/** A service of one world. */
export interface StandIn {
  /** One of its own that is like this one now, for a world that begins as another is. */
  copy(clock: Clock): StandIn;
}

export interface Fake {
  readonly service: ServiceName;
  /** Makes the service of a new world, in which nothing is known. `clock` is that world's. */
  readonly make: (clock: Clock) => StandIn;
  /** Descriptions of the functions. */
  readonly api: readonly ApiFunction[];
  /** By their names without `test.`; they are given the service of the world that holds. */
  readonly functions: Readonly<Record<string, (L: LuaState, standIn: StandIn) => number>>;
}

/** The parts of a fake whose service and functions go together. */
interface FakeParts<Name extends ServiceName, Service extends StandIn> {
  readonly service: Name;
  readonly make: (clock: Clock) => Service;
  readonly api: readonly ApiFunction[];
  readonly functions: Readonly<Record<string, (L: LuaState, service: Service) => number>>;
}

export function fake<Name extends ServiceName, Service extends StandIn & Services[Name]>(
  parts: FakeParts<Name, Service>,
): Fake {
  return parts as Fake & FakeParts<Name, Service>;
}

/** Answers to questions of which a test has said nothing. */
const NOT_SAID = new WeakSet<object>();

/** Marks the answer to a question of which the test has said nothing: one that was recorded may take its place. */
export function notSaid<Value>(answer: Answer<Value>): Answer<Value> {
  NOT_SAID.add(answer);
  return answer;
}

export function isNotSaid(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && NOT_SAID.has(answer);
}
