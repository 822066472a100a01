/** The smarthost of a test: what was sent is kept for the test to look at. */
import type { LuaState } from 'fengari';
import { type Answer, known, unknown } from '../../asking/answer.ts';
import { lua } from '../../lua/engine/engine.ts';
import { type Plain, pushPlain } from '../../lua/engine/plain.ts';
import type { Mailer, OutgoingMail, Sent } from '../../mail-client/mailer.ts';
import { fake, type StandIn } from '../fake.ts';
import { checkFakeAnswer, type FakeAnswer } from '../fake-answer.ts';

class SmarthostWorld implements Mailer, StandIn {
  #answer: FakeAnswer | undefined;
  readonly #sent: Plain[];

  constructor(answer?: FakeAnswer, sent: readonly Plain[] = []) {
    this.#answer = answer;
    this.#sent = [...sent];
  }

  copy(): SmarthostWorld {
    return new SmarthostWorld(this.#answer, this.#sent);
  }

  get sent(): readonly Plain[] {
    return this.#sent;
  }

  answers(answer: FakeAnswer): void {
    this.#answer = answer;
  }

  async send({ from, to, message, marks }: OutgoingMail): Promise<Answer<Sent>> {
    if (this.#answer === undefined) return unknown('unavailable', 'no network in a test: see test.send');
    // A test cannot know a mark: what looks like one came with the message of the test.
    if (marks.length > 0) return unknown('refused', 'mail loop');
    const mail = { from, to, message: message.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n') };
    this.#sent.push(mail);
    const given = this.#answer([mail]);
    if (given.kind === 'unknown') return given;
    const { value } = given;
    if (value === false) return known({ kind: 'no', reply: '550 5.7.1 as the test says' });
    if (typeof value === 'string' && /^5/.test(value)) return known({ kind: 'no', reply: value });
    const reply = typeof value === 'string' ? value : '250 2.0.0 as the test says';
    return known({ kind: 'sent', reply, refused: new Map() });
  }
}

export const sendFake = fake({
  service: 'mailer',
  make: () => new SmarthostWorld(),
  api: [
    {
      kind: 'function',
      name: 'test.send',
      params: [
        {
          name: 'answer',
          type: 'any',
          sample: 'true',
          doc: '`true`, `false`, the reply (`"550 5.7.1 no"` refuses), `test.fails "timeout"`, or a function of `{ from =, to = {...}, message = }` that returns one of these',
        },
      ],
      results: [],
      doc: 'What the smarthost answers; without it nothing is sent. `test.sent` lists what it was handed.',
      example: 'test.send(true)',
    },
    {
      kind: 'function',
      name: 'test.sent',
      params: [],
      results: [
        {
          type: 'table[]',
          doc: 'in order: `from`, `to` (a list), and `message` with CRLF, as the smarthost was handed it',
        },
      ],
      doc: 'What the policy has sent by `smtp.send`, over all sessions of the case, whatever the answer.',
      example: 'test.equal(#test.sent(), 1)',
    },
  ],
  functions: {
    send: (L: LuaState, world) => {
      world.answers(checkFakeAnswer(L, 1));
      return 0;
    },
    sent: (L: LuaState, world) => {
      lua.lua_checkstack(L, 2);
      pushPlain(L, world.sent);
      return 1;
    },
  },
});
