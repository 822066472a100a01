/**
 * What it costs to look into a message: the parts of one of 1 MB with three attachments, their names and the digest of
 * each, ours beside rspamd in proxy mode with nothing but its reading of MIME, and MIMEDefang.
 *
 * rspamd makes a digest of each part while it reads a message, BLAKE2b; it is measured so, and with SHA-256 as well.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Mta } from '../helpers/mta.ts';
import { ServerUnderTest } from './server.ts';

/** Where Debian's package is unpacked, where it is not installed: it wants an MTA of its own. */
const MIMEDEFANG = process.env['MIMEDEFANG_PREFIX'] ?? '/opt/smtpf-milter-mimedefang';

const TEXT = 'It is a text of which there are many lines, and none is longer than others.\r\n'.repeat(40);

/** Bytes that look like pictures, which no program takes apart further. */
const ATTACHMENTS = [
  { name: 'photo.jpg', type: 'image/jpeg', data: noise('\xff\xd8\xff\xe0\0\x10JFIF\0', 400_000) },
  { name: 'plan.png', type: 'image/png', data: noise('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 250_000) },
  { name: 'second.jpg', type: 'image/jpeg', data: noise('\xff\xd8\xff\xe0\0\x10JFIF\0', 100_000) },
] as const;

function noise(begin: string, size: number): Buffer {
  const pieces = Array.from({ length: Math.ceil(size / 64) }, (_, i) =>
    createHash('sha512').update(`${size} ${i}`).digest(),
  );
  return Buffer.concat([Buffer.from(begin, 'latin1'), ...pieces]).subarray(0, size);
}

function message(subject: string): string {
  const parts = ATTACHMENTS.map(
    ({ name, type, data }) =>
      `--=_b\r\nContent-Type: ${type}; name="${name}"\r\nContent-Transfer-Encoding: base64\r\n` +
      `Content-Disposition: attachment; filename="${name}"\r\n\r\n` +
      `${data.toString('base64').replace(/.{1,76}/g, '$&\r\n')}`,
  );
  return (
    'Received: from client.example.org (client.example.org [192.0.2.1])\r\n\tby mx.example.net with ESMTPS id 4Q;\r\n' +
    '\tMon, 1 Jan 2024 00:00:00 +0000\r\nFrom: Alice <alice@sender.example>\r\nTo: Bob <bob@example.net>\r\n' +
    `Subject: ${subject}\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@sender.example>\r\n` +
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=_b"\r\n\r\n' +
    `--=_b\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n${TEXT}${parts.join('')}--=_b--\r\n`
  );
}

/** All answer a message of this subject with what they have found: names, and the first digits of the digests. */
const SHOW = 'show what you find';

const OURS = `function smtp.do_dot()
  local found = {}
  for _, part in ipairs(mime.parts) do
    if part.parent then found[#found + 1] = (part.name or "") .. " " .. part:sha256():sub(1, 8) end
  end
  if header.get("Subject") == "${SHOW}" then return 550, "5.7.1 " .. table.concat(found, " ") end
end
`;

/** @param digest of a part, in Lua */
const rspamdRule = (digest: string) => `local hash = require "rspamd_cryptobox_hash"
rspamd_config:register_symbol {
  name = "PARTS", type = "prefilter", priority = 10,
  callback = function(task)
    local found = {}
    for _, part in ipairs(task:get_parts()) do
      if not part:is_multipart() then found[#found + 1] = (part:get_filename() or "") .. " " .. ${digest}:sub(1, 8) end
    end
    if task:get_header("Subject") == "${SHOW}" then task:set_pre_result("reject", table.concat(found, " ")) end
  end,
}
`;
const BLAKE2 = 'part:get_digest()';
const SHA256 = 'hash.create_specific("sha256", part:get_content()):hex()';

function rspamd(folder: string, rule: string, port: number): string[] {
  const share = '/usr/share/rspamd';
  const config = join(folder, `rspamd-${port}.conf`);
  const run = join(folder, `rspamd-${port}`);
  mkdirSync(run);
  writeFileSync(join(run, 'rule.lua'), rule);
  writeFileSync(
    config,
    `options { pidfile = "${run}/pid"; filters = ""; tempdir = "${run}"; control_socket = "${run}/control mode=0600";
  dns { nameserver = ["127.0.0.1:5399"]; } url_tld = "${share}/effective_tld_names.dat"; }
logging { type = "file"; filename = "${run}/log"; level = "error"; }
lua = "${run}/rule.lua";
actions { reject = 15; add_header = 6; greylist = 4; }
worker "rspamd_proxy" { bind_socket = "127.0.0.1:${port}"; milter = yes; timeout = 120s; count = 1;
  upstream "local" { default = yes; self_scan = yes; } }
`,
  );
  const variables = [
    `LUALIBDIR=${share}/lualib`,
    `SHAREDIR=${share}`,
    `RULESDIR=${share}/rules`,
    `RUNDIR=${run}`,
    `DBDIR=${run}`,
  ];
  return [
    'rspamd',
    ...['--insecure', '--no-fork', '-c', config],
    ...variables.map((variable) => `--var=${variable}`),
  ];
}

const MIMEDEFANG_FILTER = `use Digest::SHA;
my @found;
sub filter_begin { @found = (); }
sub filter {
  my ($entity, $name) = @_;
  my $body = $entity->bodyhandle;
  push @found, $name . ' ' . substr(Digest::SHA->new(256)->addfile($body->path)->hexdigest, 0, 8) if $body;
  return action_accept();
}
sub filter_end { action_bounce(join(' ', @found), '550', '5.7.1') if $Subject =~ /${SHOW}/; }
1;
`;

/** The folder of its programs; undefined where it is not here. */
function mimedefangRoot(): string | undefined {
  return ['', MIMEDEFANG].find((root) => existsSync(`${root}/usr/bin/mimedefang.pl`));
}

/** Its milter, and behind it the processes that run the filter. */
function mimedefang(folder: string, root: string, port: number): string[] {
  const run = join(folder, `mimedefang-${port}`);
  mkdirSync(run);
  const perl = readFileSync(`${root}/usr/bin/mimedefang.pl`, 'latin1')
    .replaceAll('/var/spool/MIMEDefang', run)
    .replaceAll('/etc/mail/mimedefang.pl.conf', `${root}/etc/mail/mimedefang.pl.conf`);
  writeFileSync(join(run, 'filter.pl'), MIMEDEFANG_FILTER);
  writeFileSync(join(run, 'mimedefang.pl'), perl, 'latin1');
  const lines = {
    worker: `#!/bin/sh\nexport PERL5LIB=${root}/usr/share/perl5\nexec perl ${run}/mimedefang.pl -f ${run}/filter.pl "$@"\n`,
    start: `#!/bin/sh
${root}/usr/bin/mimedefang-multiplexor -D -z ${run} -s ${run}/sock -m 10 -x 10 -r 100000 -q 128 -Q 60 -U nobody -f ${run}/worker &
below=$!
while [ ! -S ${run}/sock ]; do sleep 0.1; done
${root}/usr/bin/mimedefang -D -p inet:${port}@127.0.0.1 -m ${run}/sock -z ${run} -U nobody -q -X -b 1024 &
milter=$!
trap 'kill $milter $below' TERM
wait $milter
kill $below
wait
`,
  };
  for (const [name, text] of Object.entries(lines)) {
    writeFileSync(join(run, name), text);
    chmodSync(join(run, name), 0o755);
  }
  chownSync(run, Number(execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' })), 0);
  return [join(run, 'start')];
}

/**
 * All that are here, each of which has shown that it finds the parts.
 * @returns `message` the file of the message; `end` takes away what they have made
 * @throws Error where one does not find them
 */
export async function startReaders(folder: string): Promise<{
  servers: Record<string, ServerUnderTest>;
  message: string;
  missing: readonly string[];
  end: () => Promise<void>;
}> {
  const place = join(folder, 'content');
  mkdirSync(place);
  chmodSync(folder, 0o755);
  const file = join(place, 'message.eml');
  writeFileSync(file, message('pictures'), 'latin1');
  const script = join(place, 'ours.lua');
  writeFileSync(script, OURS);
  const servers: Record<string, ServerUnderTest> = {};
  const end = async () => {
    for (const server of Object.values(servers)) await server.stop();
  };
  const missing: string[] = [];
  try {
    servers['ours'] = await ServerUnderTest.ours(script, place, 'memory');
    if (spawnSync('rspamd', ['--version']).status === 0) {
      servers['rspamd'] = await ServerUnderTest.program((port) => rspamd(place, rspamdRule(BLAKE2), port));
      servers['with SHA-256'] = await ServerUnderTest.program((port) =>
        rspamd(place, rspamdRule(SHA256), port),
      );
    } else missing.push('rspamd is missing: not measured (Debian: rspamd)');
    const root = mimedefangRoot();
    if (root === undefined) {
      missing.push(
        `MIMEDefang is missing: not measured (Debian: apt-get download mimedefang, dpkg -x mimedefang_*.deb ${MIMEDEFANG}, and the packages libmime-tools-perl libunix-syslog-perl)`,
      );
    } else {
      servers['MIMEDefang'] = await ServerUnderTest.program((port) => mimedefang(place, root, port));
    }
    for (const [name, server] of Object.entries(servers)) await check(name, server);
  } catch (error) {
    await end();
    throw error;
  }
  return { servers, message: file, missing, end };
}

/** @throws Error where what the server shows is not all that there is */
async function check(name: string, server: ServerUnderTest): Promise<void> {
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7', 'mail.example.com');
  await mta.helo('mail.example.com');
  await mta.mail('<alice@sender.example>');
  await mta.rcpt('<bob@example.net>');
  await mta.data();
  const text = message(SHOW);
  const middle = text.indexOf('\r\n\r\n');
  const headers = text
    .slice(0, middle)
    .replaceAll('\r\n\t', '\n\t')
    .split('\r\n')
    .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)] as const);
  const chunks: Buffer[] = [];
  for (let at = middle + 4; at < text.length; at += 65_535) {
    chunks.push(Buffer.from(text.slice(at, at + 65_535), 'latin1'));
  }
  const reply = await mta.content(headers, ...chunks);
  await mta.quit();
  mta.socket.destroy();
  const expected = ATTACHMENTS.map(({ name: file, data }) => {
    const digest = createHash('sha256').update(data).digest('hex').slice(0, 8);
    // rspamd's own digest is one that no other program makes.
    return `${file.replace('.', '\\.')} ${name === 'rspamd' ? '[0-9a-f]{8}' : digest}`;
  }).join(' ');
  if (!new RegExp(expected).test(reply.text)) {
    throw new Error(`${name} finds "${reply.text || reply.letter}", not "${expected}"`);
  }
}
