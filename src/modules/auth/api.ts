/** The module `auth`. */
import type { Chapter } from '../entry.ts';

const ERR = {
  type: 'string|nil',
  name: 'err',
  doc: 'why it could not be found out: `timeout ...`, `servfail ...`, `refused ...`, `unavailable ...`, `protocol ...`, `limit ...`',
} as const;

const SIGNER = [
  { name: 'domain', type: 'string', doc: '`d=`: who signs' },
  {
    name: 'selector',
    type: 'string',
    doc: '`s=`: which of its keys; its record is `SELECTOR._domainkey.DOMAIN`',
  },
  {
    name: 'key',
    type: 'string',
    doc: 'absolute path of a private key in PEM form, RSA of at least 1024 bits or Ed25519; read once, and again when it has changed. Or the key itself',
  },
] as const;

const SIGNING = '{ domain = "example.com", selector = "s", key = "/etc/mail/keys/example.com.s.pem" }';

export const authApi = {
  title: 'Who sent a message (SPF, DKIM, DMARC, ARC)',
  doc: `\`auth.check\` finds out at the end of a message who stands behind it; [authentication.md](authentication.md) shows policies.
"No" and "could not find out" never mix: a result is \`pass\`, \`fail\`, \`none\` and so on, and what fails by itself (temperror) is \`nil, err\`.
permerror is a result: the message or a record of its domain is wrong, and a policy should take it for a failure. The message is
looked at as the MTA has received it, whatever the script has changed in it. All look-ups are those of \`dns\`, with its cache and limits.`,
  uses: ['records', 'keys', 'clock'],
  wants: { headers: 'data' },
  entries: [
    {
      kind: 'function',
      name: 'auth.spf',
      waits: true,
      params: [
        {
          name: 'ip',
          type: 'string',
          optional: true,
          sample: '"192.0.2.1"',
          doc: 'address of the client; that of the session without it',
        },
        {
          name: 'sender',
          type: 'string',
          optional: true,
          sample: '"jane@example.org"',
          doc: 'with or without angle brackets, `""` for the null sender; that of MAIL without it',
        },
        {
          name: 'helo',
          type: 'string',
          optional: true,
          doc: 'what the client said at HELO; that of the session without it',
        },
        { name: 'timeout', type: 'number', optional: true, doc: 'seconds for all look-ups; 20 without it' },
      ],
      results: [
        {
          type: '"pass"|"fail"|"softfail"|"neutral"|"none"|"permerror"|nil',
          doc: 'the result; `none` also for a client on a unix socket',
        },
        {
          type: 'string',
          doc: 'the domain whose record it was, in lower case, as A-labels (`xn--...`); that of HELO where the sender is null. After nil: why it could not be found out',
        },
        {
          type: 'string|nil',
          doc: 'what the domain says to those that it does not let send (`exp=`), for a reply; `""` without one',
        },
      ],
      forms: [
        ['string', 'string', 'string'],
        ['nil', 'string'],
      ],
      doc: 'Whether the domain of the sender lets the client send for it (RFC 7208). From `smtp.do_mail` on it needs no arguments.',
      example:
        'local result, domain, explanation = auth.spf()\nif result == "fail" then return 550, "5.7.23 SPF of " .. domain .. " " .. explanation end',
    },
    {
      kind: 'function',
      name: 'auth.check',
      from: 'dot',
      waits: true,
      params: [{ name: 'opts', type: 'auth.options', optional: true, doc: 'see below' }],
      results: [
        { type: 'auth.checked|nil', doc: 'what was found out' },
        {
          ...ERR,
          doc: `${ERR.doc}; where it could have changed the DMARC result. \`refused: ...\` where \`add\` is not granted by the MTA`,
        },
      ],
      doc: 'Checks SPF, all signatures, DMARC, the ARC chain and the name of the client. It asks once for each message: a second call gives the same.',
      example:
        'local found = must(auth.check { add = true })\nif found.dmarc.result == "fail" and found.dmarc.policy == "reject" then return 550, "5.7.1 Not sent by " .. found.dmarc.domain end',
    },
    {
      kind: 'function',
      name: 'auth.covers',
      from: 'dot',
      params: [
        {
          name: 'name',
          type: 'string',
          sample: '"Subject"',
          doc: 'of a header field in any case, or `"body"`',
        },
      ],
      results: [
        { type: 'auth.signer[]', doc: 'the signatures that pass and cover it; `{}` where none does' },
      ],
      doc: 'Which signatures a change would break. An error before `auth.check`.',
      example: 'if #auth.covers("Subject") == 0 then header.set("Subject", "[EXTERNAL] " .. subject) end',
    },
    {
      kind: 'function',
      name: 'auth.sign',
      from: 'dot',
      until: 'dot',
      params: [{ name: 'opts', type: 'auth.signing', sample: SIGNING, doc: 'who signs, and what' }],
      results: [
        { type: 'boolean|nil', doc: 'true' },
        {
          type: 'string|nil',
          name: 'err',
          doc: 'why it cannot be signed: `unavailable ...` or `protocol ...` for the key, `refused: ...` where the MTA lets no header be added, `limit ...` for more than ten',
        },
      ],
      doc: `Signs the message (DKIM) as it will be after all edits of the script, when \`smtp.do_dot\` has returned and lets it pass. May be called for several domains and keys.
From, Subject, To and Date are signed once more than they are there, so that nobody can put another one above. Where that cannot be done (no From, a line of
more than 1 MiB) the log says so.`,
      example:
        'must(auth.sign { domain = "example.com", selector = "2026a", key = "/etc/mail/keys/example.com.2026a.pem" })',
    },
    {
      kind: 'function',
      name: 'auth.seal',
      from: 'dot',
      until: 'dot',
      params: [{ name: 'opts', type: 'auth.sealing', sample: SIGNING, doc: 'who seals, and as whom' }],
      results: [
        {
          type: 'boolean|nil',
          doc: 'true; false where nothing can be added to its chain, as to one of 50 sets',
        },
        {
          type: 'string|nil',
          name: 'err',
          doc: 'as for `auth.sign`; or why the chain could not be checked',
        },
      ],
      doc: `Seals the message as it will be after all edits (ARC): what \`auth.check\` found goes with it, for servers that trust this one. For mail that is passed on, changed or not.
The set is put on top, above signatures. A chain that is broken is sealed as such, once. An error before \`auth.check\`.`,
      example:
        'must(auth.check())\nmust(auth.seal { domain = "example.com", selector = "2026a", key = "/etc/mail/keys/example.com.2026a.pem" })',
    },
    {
      kind: 'function',
      name: 'auth.results',
      from: 'mail',
      useful: 'headers',
      params: [
        {
          name: 'authserv_id',
          type: 'string',
          optional: true,
          doc: 'whose fields count, in any case; without it those of everybody, strangers among them',
        },
      ],
      results: [{ type: 'auth.result[]', doc: 'one for each method, from the top; `{}` without any' }],
      doc: 'What hosts before this one have found out: the fields Authentication-Results (RFC 8601), with the edits of the script. Only a host whose forged fields are taken out at the border can be trusted.',
      example:
        'for _, result in ipairs(auth.results("mx.example.com")) do\n  if result.method == "dmarc" and result.result == "fail" then smtp.quarantine("DMARC") end\nend',
    },
    {
      kind: 'class',
      name: 'auth.options',
      doc: 'How a message is checked.',
      fields: [
        {
          name: 'partial',
          type: 'boolean|nil',
          doc: 'whether there is a table also where the DMARC result could not be found out',
        },
        {
          name: 'authserv',
          type: 'string|nil',
          doc: 'our name in Authentication-Results; the host name of the MTA without it',
        },
        {
          name: 'add',
          type: 'boolean|nil',
          doc: 'puts the field on top, and takes out those that came in under our name: forgeries',
        },
        { name: 'timeout', type: 'number|nil', doc: 'seconds for all look-ups together; 20 without it' },
      ],
    },
    {
      kind: 'class',
      name: 'auth.signing',
      doc: 'A signature to be made.',
      fields: [
        ...SIGNER,
        {
          name: 'headers',
          type: 'string[]|nil',
          doc: 'names of fields to sign, where they are there; From always is. Those of RFC 6376, 5.4.1 without it',
        },
        {
          name: 'c',
          type: 'string|nil',
          doc: 'how much of white space counts, in fields and in the body: `relaxed/relaxed`, or `simple` in the place of one or both, which no change of it survives; with a simple body the text must stand in the script as it is',
        },
        { name: 'expire', type: 'integer|nil', doc: 'seconds from now on for which it counts' },
      ],
    },
    {
      kind: 'class',
      name: 'auth.sealing',
      doc: 'A seal to be made.',
      fields: [
        ...SIGNER,
        { name: 'headers', type: 'string[]|nil', doc: 'as of `auth.signing`; signatures are signed too' },
        {
          name: 'authserv',
          type: 'string|nil',
          doc: 'our name in its results; the host name of the MTA without it',
        },
      ],
    },
    {
      kind: 'class',
      name: 'auth.checked',
      readOnly: true,
      doc: 'What was found out about a message. A part that could not be found out has `result = "temperror"`, `reason` says why, and its other texts are `""`.',
      fields: [
        { name: 'spf', type: 'auth.checked_spf', doc: 'as `auth.spf`' },
        { name: 'dkim', type: 'auth.signature[]', doc: 'the first ten signatures, from the top' },
        {
          name: 'dmarc',
          type: 'auth.checked_dmarc',
          doc: 'whether the domain of From stands behind the message',
        },
        { name: 'arc', type: 'auth.checked_arc', doc: 'the chain of those who passed it on' },
        { name: 'iprev', type: 'auth.checked_iprev', doc: 'whether the name of the client leads back to it' },
        {
          name: 'header',
          type: 'string',
          doc: 'the line `Authentication-Results: ...`, folds as CRLF and a tab',
        },
      ],
    },
    {
      kind: 'class',
      name: 'auth.checked_spf',
      readOnly: true,
      doc: 'The result of SPF.',
      fields: [
        { name: 'result', type: 'string', doc: 'as that of `auth.spf`, or `temperror`' },
        { name: 'domain', type: 'string', doc: 'whose record it was' },
        { name: 'explanation', type: 'string', doc: 'of `exp=`' },
        { name: 'reason', type: 'string', doc: 'of `temperror`' },
      ],
    },
    {
      kind: 'class',
      name: 'auth.signature',
      readOnly: true,
      doc: 'A DKIM signature.',
      fields: [
        { name: 'result', type: 'string', doc: '`pass`, `fail`, `policy`, `permerror` or `temperror`' },
        {
          name: 'domain',
          type: 'string',
          doc: '`d=`, in lower case, as A-labels (`xn--...`), as other domains are',
        },
        { name: 'selector', type: 'string', doc: '`s=`, as A-labels' },
        { name: 'algorithm', type: 'string', doc: '`rsa-sha256`, `ed25519-sha256`' },
        { name: 'reason', type: 'string', doc: 'why it does not pass; `""` where it does' },
        {
          name: 'aligned',
          type: 'boolean',
          doc: 'whether it passes for the domain of From, as DMARC has it',
        },
        { name: 'bits', type: 'integer|nil', doc: 'of the key' },
        {
          name: 'short',
          type: 'boolean',
          doc: 'it does not cover the end of the body (`l=`): text may have been appended',
        },
      ],
    },
    {
      kind: 'class',
      name: 'auth.checked_dmarc',
      readOnly: true,
      doc: 'The result of DMARC (RFC 9989).',
      fields: [
        {
          name: 'result',
          type: 'string',
          doc: '`pass`, `fail`, `none` (no record), `permerror` (no author, several domains in From, or a From that can be read in several ways) or `temperror`',
        },
        {
          name: 'policy',
          type: 'string',
          doc: 'what the domain asks for where it fails: `none`, `quarantine` or `reject`',
        },
        { name: 'domain', type: 'string', doc: 'where the record is; `""` without one' },
        { name: 'record', type: 'string', doc: 'the record' },
        { name: 'p', type: 'string', doc: 'its policy for the domain; `""` where the record has none' },
        { name: 'sp', type: 'string', doc: 'for domains below' },
        { name: 'np', type: 'string', doc: 'for domains below that do not exist' },
        { name: 'reason', type: 'string', doc: 'of `permerror` and `temperror`' },
      ],
    },
    {
      kind: 'class',
      name: 'auth.checked_arc',
      readOnly: true,
      doc: 'The result of ARC (RFC 8617).',
      fields: [
        {
          name: 'result',
          type: 'string',
          doc: '`pass`, `fail`, `none` or `temperror`, as for a chain that is longer than is verified',
        },
        { name: 'chain', type: 'integer', doc: 'how many have sealed it' },
        { name: 'domain', type: 'string', doc: 'who has sealed it last' },
        { name: 'reason', type: 'string', doc: 'what is wrong with the chain' },
      ],
    },
    {
      kind: 'class',
      name: 'auth.checked_iprev',
      readOnly: true,
      doc: 'Whether the name of the client’s address leads back to that address (RFC 8601).',
      fields: [
        { name: 'result', type: 'string', doc: '`pass`, `fail`, `permerror` (no name) or `temperror`' },
        { name: 'name', type: 'string', doc: 'the name; `""` without one' },
        { name: 'reason', type: 'string', doc: 'of `temperror`' },
      ],
    },
    {
      kind: 'class',
      name: 'auth.signer',
      readOnly: true,
      doc: 'Who has signed.',
      fields: [
        { name: 'domain', type: 'string', doc: '`d=`' },
        { name: 'selector', type: 'string', doc: '`s=`' },
      ],
    },
    {
      kind: 'class',
      name: 'auth.result',
      readOnly: true,
      doc: 'What one host has found out by one method.',
      fields: [
        { name: 'authserv', type: 'string', doc: 'the host, as it is written' },
        { name: 'method', type: 'string', lowerCase: true, doc: '`spf`, `dkim`, `dmarc`, ...' },
        { name: 'result', type: 'string', lowerCase: true, doc: '`pass`, `fail`, ...' },
        { name: 'reason', type: 'string', doc: '`""` without one' },
        { name: 'properties', type: 'table', doc: 'by name in lower case: `["header.d"] = "example.org"`' },
      ],
    },
  ],
} as const satisfies Chapter;
