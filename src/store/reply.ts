/** What scripts of Redis return. */
import { type Answer, known } from '../asking/answer.ts';

export function bytesOf(reply: unknown): Buffer | undefined {
  if (Buffer.isBuffer(reply)) return reply;
  return typeof reply === 'string' ? Buffer.from(reply, 'latin1') : undefined;
}

export function isOne(reply: unknown): boolean {
  return Number(reply) === 1;
}

export function replyAnswer<Value>(value: Value): Answer<Value> {
  return known(value);
}

/** Items of a list, each a text; '' where there is none. */
export function textsOf(reply: unknown): string[] {
  return Array.isArray(reply) ? reply.map((item) => bytesOf(item)?.toString('latin1') ?? String(item)) : [];
}
