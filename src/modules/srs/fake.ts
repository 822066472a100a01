/** The secrets and domains of a test, for rewritten and tagged senders. */
import type { LuaState } from 'fengari';
import { type Answer, unknown } from '../../asking/answer.ts';
import { lua } from '../../lua/engine/engine.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { signingDomain } from '../../mail-auth/dkim-sign.ts';
import { OwnSenders, readSecrets, type Secrets } from '../../mail-auth/own-senders.ts';
import type { Clock } from '../../services/clock.ts';
import { checkText } from '../arguments.ts';
import { fake, type StandIn } from '../fake.ts';
import { checkFakeAnswer } from '../fake-answer.ts';

const MAX_SECRET = 1000;

type Domains = readonly [string, ...string[]];

class SenderWorld extends OwnSenders implements StandIn {
  secrets: Answer<Secrets> = unknown('unavailable', 'no secret in a test: see test.srs');
  domains: Answer<Domains> = unknown('unavailable', 'no domain in a test: see test.srs');

  constructor(clock: Clock) {
    super(
      () => this.secrets,
      () => this.domains,
      () => clock.now(),
    );
  }

  copy(clock: Clock): SenderWorld {
    const copy = new SenderWorld(clock);
    copy.secrets = this.secrets;
    copy.domains = this.domains;
    return copy;
  }
}

export const srsFake = fake({
  service: 'senders',
  make: (clock) => new SenderWorld(clock),
  api: [
    {
      kind: 'function',
      name: 'test.srs',
      params: [
        {
          name: 'secret',
          type: 'string',
          doc: 'what stands in the file of `--srs-secret`, of several lines the first signs; or `test.fails "unavailable"`',
        },
        { name: 'domain', type: 'string', optional: true, doc: 'what `--srs-domain` says' },
      ],
      results: [],
      doc: 'The secrets and the domain of `srs` and `batv`. Without it they are `nil, "unavailable ..."`.',
      example: 'test.srs("secret", "forward.example")',
    },
  ],
  functions: { srs },
});

function srs(L: LuaState, world: SenderWorld): number {
  const domain = lua.lua_isnoneornil(L, 2) ? undefined : signingDomain(checkText(L, 2, MAX_SECRET));
  if (domain === undefined && !lua.lua_isnoneornil(L, 2)) return argumentError(L, 2, 'a domain expected');
  if (domain !== undefined) world.domains = { kind: 'known', value: [domain] };
  if (lua.lua_type(L, 1) === lua.LUA_TSTRING) {
    const made = readSecrets(Buffer.from(checkText(L, 1, MAX_SECRET), 'latin1'));
    if ('wrong' in made) return argumentError(L, 1, 'a secret expected');
    world.secrets = { kind: 'known', value: made.content };
    return 0;
  }
  const answer = checkFakeAnswer(L, 1)([]);
  if (answer.kind === 'known') return argumentError(L, 1, 'a secret or test.fails(...) expected');
  world.secrets = answer;
  return 0;
}
