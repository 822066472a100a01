/**
 * Services of which every question and its answer is told to somebody: for commands that show a policy at work.
 *
 * A question is a call of a service's method that gives an Answer, by a promise or, where it is known already, at once.
 */
import type { Answer } from '../asking/answer.ts';
import { type Asked, askedOf, isAsked, settle } from './asked.ts';
import type { ServiceName, Services } from './services.ts';

/** @param note takes each question; its answer is set when it comes */
export function recorded(services: Services, note: (asked: Asked) => void): Services {
  const recorders = Object.entries(services).map(([name, service]) =>
    isAsked(name as ServiceName) ? [name, record(name as ServiceName, service, note)] : [name, service],
  );
  return Object.fromEntries(recorders);
}

function record<Service extends object>(
  name: ServiceName,
  service: Service,
  note: (asked: Asked) => void,
): Service {
  return new Proxy(service, {
    get: (target, key) => {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function' || typeof key !== 'string') return member;
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(member, target, args);
        if (result instanceof Promise) {
          const asked = askedOf(name, key, args, false);
          note(asked);
          const began = performance.now();
          return result.then((answer) => {
            asked.milliseconds = performance.now() - began;
            if (isAnswer(answer)) settle(asked, name, answer);
            return answer;
          });
        }
        if (isAnswer(result)) {
          const asked = askedOf(name, key, args, true);
          settle(asked, name, result);
          note(asked);
        }
        return result;
      };
    },
  });
}

function isAnswer(value: unknown): value is Answer<unknown> {
  return typeof value === 'object' && value !== null && 'kind' in value && isKind(value.kind);
}

function isKind(kind: unknown): boolean {
  return kind === 'known' || kind === 'unknown';
}
