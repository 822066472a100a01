/** Services of which each question is counted: how it ended, and how long it took. */
import type { Answer } from '../asking/answer.ts';
import { isAsked, spokenName } from './asked.ts';
import type { ServiceName, Services } from './services.ts';

/** @param outcome `ok`, or the word of a failure */
export type CountQuestion = (service: string, outcome: string, milliseconds: number) => void;

export function counted(services: Services, count: CountQuestion): Services {
  const counters = Object.entries(services).map(([name, service]) =>
    isAsked(name as ServiceName)
      ? [
          name,
          withCounts(service, (outcome, milliseconds) =>
            count(spokenName(name as ServiceName), outcome, milliseconds),
          ),
        ]
      : [name, service],
  );
  return Object.fromEntries(counters);
}

type Method = (...args: unknown[]) => unknown;

function withCounts<Service extends object>(
  service: Service,
  count: (outcome: string, milliseconds: number) => void,
): Service {
  // Each method is wrapped once.
  const wrapped = new Map<string, Method>();
  return new Proxy(service, {
    get: (target, key) => {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function' || typeof key !== 'string') return member;
      let method = wrapped.get(key);
      if (method === undefined) {
        method = (...args) => counting(Reflect.apply(member, target, args), count);
        wrapped.set(key, method);
      }
      return method;
    },
  });
}

/** What is no answer, at once or later, is no question. */
function counting(result: unknown, count: (outcome: string, milliseconds: number) => void): unknown {
  if (result instanceof Promise) {
    const began = performance.now();
    return result.then((answer: unknown) => {
      const outcome = outcomeOf(answer);
      if (outcome !== undefined) count(outcome, performance.now() - began);
      return answer;
    });
  }
  const outcome = outcomeOf(result);
  if (outcome !== undefined) count(outcome, 0);
  return result;
}

function outcomeOf(result: unknown): string | undefined {
  if (typeof result !== 'object' || result === null || !('kind' in result)) return undefined;
  const answer = result as Answer<unknown>;
  if (answer.kind === 'known') return 'ok';
  return answer.kind === 'unknown' ? answer.failure : undefined;
}
