// look.mjs LAB URL TOKENS.json PATH PICTURE.png: logs in and takes a picture of a page of Home Assistant.
import fs from 'node:fs';
import { createRequire } from 'node:module';
const [lab, url, tokens, path, picture] = process.argv.slice(2);
const { chromium } = createRequire(lab + '/')('playwright-core');
const token = JSON.parse(fs.readFileSync(tokens));
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic',
  '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
const page = await browser.newPage({ viewport: { width: 1180, height: 1020 } });
const hassTokens = { ...token, hassUrl: url, clientId: url + '/', expires: Date.now() + token.expires_in * 1000 };
await page.addInitScript(tokens => localStorage.setItem('hassTokens', JSON.stringify(tokens)), hassTokens);
await page.goto(url + path, { waitUntil: 'domcontentloaded' });
await page.waitForTimeout(15000);
await page.screenshot({ path: picture });
await browser.close();
