/** Policies' interests at their two ends. */
import type { Interests } from '../../src/milter/policy.ts';

export const EVERYTHING: Interests = {
  connect: 'verdict',
  helo: 'verdict',
  mail: 'verdict',
  rcpt: 'verdict',
  data: 'verdict',
  headers: 'verdict',
  body: 'verdict',
  unknown: 'verdict',
  actions: 0x1ff,
  symbols: [],
};

export const NOTHING: Interests = {
  connect: 'none',
  helo: 'none',
  mail: 'none',
  rcpt: 'none',
  data: 'none',
  headers: 'none',
  body: 'none',
  unknown: 'none',
  actions: 0,
  symbols: [],
};
