package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Widths are the two viewports every page is checked at: a small telephone and a desk.
var Widths = []int64{360, 1280}

// stepLimit bounds one step in the browser, so that a page that never answers fails its own test only.
const stepLimit = 45 * time.Second

// browser is the one Chromium of a test binary; starting it costs more than a test does.
var browser struct {
	once sync.Once
	ctx  context.Context
	dir  string
	err  error
	stop []context.CancelFunc
}

// Browser returns the context of the shared headless browser, started on first use.
func Browser(t testing.TB) context.Context {
	t.Helper()
	browser.once.Do(func() { browser.err = startBrowser() })
	if browser.err != nil {
		t.Fatalf("start browser: %v", browser.err)
	}
	return browser.ctx
}

func startBrowser() error {
	path, err := browserPath()
	if err != nil {
		return err
	}
	if browser.dir, err = os.MkdirTemp("", "truc-e2e-"); err != nil {
		return err
	}
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path),
		chromedp.Flag("headless", "new"),
		chromedp.NoSandbox, // the tests often run as root in a container, where the sandbox cannot start
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", "vi"),
		chromedp.UserDataDir(browser.dir),
	)
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, stop := chromedp.NewContext(alloc)
	browser.ctx, browser.stop = ctx, []context.CancelFunc{stop, stopAlloc}
	return chromedp.Do(ctx)
}

func browserPath() (string, error) {
	if p := os.Getenv("TRUC_TEST_CHROMIUM"); p != "" {
		return p, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", errors.New("no chromium on the path; install the package chromium or set TRUC_TEST_CHROMIUM")
}

// Shutdown ends the browser and the demonstration network, if they were started. TestMain calls it.
func Shutdown() error {
	var err error
	if browser.ctx != nil {
		ctx, cancel := context.WithTimeout(browser.ctx, 10*time.Second)
		err = chromedp.Cancel(ctx)
		cancel()
		for _, stop := range browser.stop {
			stop()
		}
	}
	if browser.dir != "" {
		_ = os.RemoveAll(browser.dir)
	}
	return errors.Join(err, stopDemo())
}

// Tab is one browser tab with cookies of its own, so that two tabs are two people.
type Tab struct {
	t   testing.TB
	ctx context.Context
	// noScript says that pages run no script.
	noScript bool

	mu       sync.Mutex
	faults   []string // guarded by mu; what the browser complained about
	expected []string // guarded by mu; parts of complaints that the test provokes on purpose
	requests int      // guarded by mu; responses seen, so that a test can tell that something was fetched
}

// Open opens address in a new tab at desk width. At the end of the test every complaint of the browser that was
// not announced with [Tab.Expect] fails it.
func Open(t testing.TB, address string) *Tab {
	t.Helper()
	tab := newTab(t)
	tab.Go(address)
	return tab
}

// OpenWithoutScript is [Open] with JavaScript switched off in the page, as some people and old telephones have it.
func OpenWithoutScript(t testing.TB, address string) *Tab {
	t.Helper()
	tab := newTab(t)
	tab.noScript = true
	tab.script(false)
	tab.Go(address)
	return tab
}

// script switches the scripts of pages on or off, from the next page on.
func (tab *Tab) script(on bool) {
	tab.t.Helper()
	tab.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	}))
}

func newTab(t testing.TB) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(Browser(t), chromedp.WithNewBrowserContext())
	tab := &Tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		tab.mu.Lock()
		faults := slices.Clone(tab.faults)
		tab.mu.Unlock()
		for _, f := range faults {
			if !tab.isExpected(f) {
				t.Errorf("browser: %s", f)
			}
		}
		cancel()
	})
	if err := chromedp.Listen(ctx, tab.listen); err != nil {
		t.Fatalf("open tab: %v", err)
	}
	tab.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
		return err
	}))
	tab.Width(1280)
	return tab
}

// Expect announces that a complaint of the browser containing part will come and is meant to, for instance
// "404" on a page about a missing page.
func (tab *Tab) Expect(part string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.expected = append(tab.expected, part)
}

func (tab *Tab) isExpected(fault string) bool {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return slices.ContainsFunc(tab.expected, func(part string) bool { return strings.Contains(fault, part) })
}

func (tab *Tab) fault(format string, args ...any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.faults = append(tab.faults, fmt.Sprintf(format, args...))
}

// listen runs in the loop that reads the browser's messages; it only notes things down.
func (tab *Tab) listen(ev any) {
	switch ev := ev.(type) {
	case *log.EventEntryAdded: // breaches of the security policy, failed requests
		if e := ev.Entry; e.Level == log.EntryLevelError && !strings.HasPrefix(e.Text, "Failed to load resource") {
			tab.fault("%s: %s (%s)", e.Source, e.Text, e.URL)
		}
	case *runtime.EventExceptionThrown:
		d := ev.ExceptionDetails
		text := d.Text
		if d.Exception != nil {
			text += " " + d.Exception.Description
		}
		tab.fault("exception: %s (%s:%d)", text, d.URL, d.LineNumber+1)
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeAssert {
			var parts []string
			for _, a := range ev.Args {
				parts = append(parts, string(a.Value)+a.Description)
			}
			tab.fault("console.%s: %s", ev.Type, strings.Join(parts, " "))
		}
	case *network.EventResponseReceived:
		tab.mu.Lock()
		tab.requests++
		tab.mu.Unlock()
		// The browser asks for /favicon.ico by itself on a page that names no icon, such as plain text.
		if ev.Response.Status >= 400 && !strings.HasSuffix(ev.Response.URL, "/favicon.ico") {
			tab.fault("status %d: %s", ev.Response.Status, ev.Response.URL)
		}
	case *network.EventLoadingFailed:
		if !ev.Canceled && ev.ErrorText != "net::ERR_ABORTED" { // aborted: a page left early, or a download began
			tab.fault("loading failed: %s %s", ev.ErrorText, ev.BlockedReason)
		}
	}
}

// Faults returns what the browser complained about so far, for tests of the harness.
func (tab *Tab) Faults() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return slices.Clone(tab.faults)
}

// Width sets the viewport.
func (tab *Tab) Width(px int64) {
	tab.t.Helper()
	height := int64(900)
	if px < 600 {
		height = 780
	}
	tab.do(chromedp.EmulateViewport(px, height))
}

// Go opens an address: a full one, or a path on the site the tab shows.
func (tab *Tab) Go(address string) {
	tab.t.Helper()
	if strings.HasPrefix(address, "/") {
		base, err := url.Parse(tab.URL())
		if err != nil {
			tab.t.Fatal(err)
		}
		address = base.Scheme + "://" + base.Host + address
	}
	ctx, cancel := context.WithTimeout(tab.ctx, stepLimit)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		tab.t.Fatalf("go to %s: %v", address, err)
	}
}

// URL returns the address the tab shows.
func (tab *Tab) URL() string {
	tab.t.Helper()
	return Value[string](tab, "location.href")
}

func (tab *Tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, stepLimit)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		tab.t.Fatalf("browser: %v", err)
	}
}

// Value evaluates a JavaScript expression, awaiting a promise, as developer tools do: it works under any security
// policy and with page scripts switched off.
func Value[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, stepLimit)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		if len(expression) > 200 {
			expression = expression[:200] + "…"
		}
		tab.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return v
}
