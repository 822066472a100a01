/** The web as policies ask it: each host behind a breaker and a gate of its own. */
import { type Answer, type Patience, unknown } from '../asking/answer.ts';
import { Breaker, type BreakerNews } from '../asking/breaker.ts';
import { Gate } from '../asking/gate.ts';
import { fetchUrl } from './client.ts';
import type { HttpRequest, HttpResponse } from './exchange.ts';
import type { AddressGuard } from './guard.ts';

export type WebRequest = Omit<HttpRequest, 'lookup' | 'url'> & {
  readonly url: string;
  readonly redirects: number;
};

/** The port by which policies make requests. */
export interface Web {
  /** Never rejects. A response of any code is known. */
  fetch(request: WebRequest, patience: Patience): Promise<Answer<HttpResponse>>;
}

/** Requests to one host at a time. */
const AT_A_TIME = 20;
/** Hosts whose state is kept: the names are often those of strangers. */
const MAX_HOSTS = 1000;

interface Host {
  readonly breaker: Breaker;
  readonly gate: Gate;
}

export class GuardedWeb implements Web {
  readonly #guard: AddressGuard;
  readonly #tell: (news: BreakerNews) => void;
  readonly #now: (() => number) | undefined;
  readonly #hosts = new Map<string, Host>();

  /** @param now milliseconds of a clock that never goes back */
  constructor(guard: AddressGuard, tell: (news: BreakerNews) => void, now?: () => number) {
    this.#guard = guard;
    this.#tell = tell;
    this.#now = now;
  }

  async fetch({ url, redirects, ...request }: WebRequest, patience: Patience): Promise<Answer<HttpResponse>> {
    if (!URL.canParse(url)) return unknown('refused', 'no URL');
    const place = new URL(url);
    const { breaker, gate } = this.#hostOf(place.origin);
    // Who waits for its turn, and who leaves, says nothing of the server.
    return gate.ask(patience, (left) =>
      breaker.ask(() => fetchUrl({ ...request, url: place }, redirects, this.#guard, left), left.cancelled),
    );
  }

  #hostOf(origin: string): Host {
    let host = this.#hosts.get(origin);
    if (host === undefined) {
      const oldest = this.#hosts.size >= MAX_HOSTS ? this.#hosts.keys().next().value : undefined;
      if (oldest !== undefined) this.#hosts.delete(oldest);
      host = { breaker: new Breaker(origin, this.#tell, this.#now), gate: new Gate(origin, AT_A_TIME) };
      this.#hosts.set(origin, host);
    }
    return host;
  }
}

/** Where nobody is to be asked. */
export class NoWeb implements Web {
  readonly #why: string;

  /** @param why what is said: `is asked with --live only` */
  constructor(why: string) {
    this.#why = why;
  }

  async fetch({ url }: WebRequest): Promise<Answer<HttpResponse>> {
    return unknown('unavailable', `${url.slice(0, 200)} ${this.#why}`);
  }
}
