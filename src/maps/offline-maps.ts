/** Maps where nobody is to be asked: tables in files and in the policy are read, servers are not there. */
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import type { Found } from './map-server.ts';
import { parseMapSpec } from './map-spec.ts';
import { type MapLog, type MapSource, type MapState, Maps } from './maps.ts';

export class OfflineMaps implements MapSource {
  readonly #local: Maps;
  readonly #why: string;

  /** @param why what is said of a server that is asked: `--live asks it` */
  constructor(log: MapLog, why: string) {
    this.#local = new Maps(log);
    this.#why = why;
  }

  async open(spec: string, place?: Buffer): Promise<Answer<string>> {
    return isLocal(spec) ? this.#local.open(spec, place) : known('open');
  }

  get states(): readonly MapState[] {
    return this.#local.states;
  }

  isOpen(spec: string): boolean {
    return !isLocal(spec) || this.#local.isOpen(spec);
  }

  recall(spec: string, key: string): Found | undefined {
    return isLocal(spec) ? this.#local.recall(spec, key) : unknown('unavailable', this.#why);
  }

  async query(spec: string, key: string, patience: Patience): Promise<Found> {
    return this.recall(spec, key) ?? this.#local.query(spec, key, patience);
  }
}

/** Whether a map is read here: no server has it. */
export function isLocal(spec: string): boolean {
  const { kind } = parseMapSpec(spec);
  return kind === 'file' || kind === 'inline';
}
