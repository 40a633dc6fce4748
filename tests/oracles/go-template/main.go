// Go's own text/template as the oracle for dnswatch's templates.
//
// Standard input: a JSON array of cases, each with a template and perhaps a value. Standard
// output: the same array, each case with what Go made of it: output, error, or parse_error.
//
//	go run . < cases.json
//
// The data, the samples that `query` gives, and the moment are those of the unit test that reads
// the result (alerting/src/template/tests). Functions are given here only where Go's standard
// library does the work; for the humanize family promtool is the oracle.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"net/url"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"text/template"
	"time"

	html "html/template"
)

type testCase struct {
	Template   string  `json:"template"`
	Value      string  `json:"value,omitempty"`
	Output     *string `json:"output,omitempty"`
	Error      string  `json:"error,omitempty"`
	ParseError string  `json:"parse_error,omitempty"`
}

// The names of these two types show in error texts; package main becomes package template there.
type sample struct {
	Labels map[string]string
	Value  interface{}
}
type queryResult []*sample

const name = "__alert_Test"

const prefix = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}" +
	"{{$externalURL := .ExternalURL}}{{$value := .Value}}"

const now = 1435065584.128

func query(expr string) (queryResult, error) {
	switch expr {
	case "up":
		return queryResult{
			{map[string]string{"__name__": "up", "instance": "b", "job": "node"}, 1.0},
			{map[string]string{"__name__": "up", "instance": "a", "job": "node"}, 0.0},
			{map[string]string{"__value__": "text", "instance": "c"}, 2.5},
		}, nil
	case "none":
		return queryResult{}, nil
	}
	return nil, errors.New("1:1: parse error: no such query")
}

func toFloat(v interface{}) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case int:
		return float64(v), nil
	case uint:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case uint64:
		return float64(v), nil
	case string:
		return strconv.ParseFloat(v, 64)
	case time.Duration:
		return v.Seconds(), nil
	}
	return 0, fmt.Errorf("can't convert %T to float", v)
}

var functions = template.FuncMap{
	"query": query,
	"first": func(v queryResult) (*sample, error) {
		if len(v) == 0 {
			return nil, errors.New("first() called on vector with no elements")
		}
		return v[0], nil
	},
	"label":    func(name string, s *sample) string { return s.Labels[name] },
	"value":    func(s *sample) interface{} { return s.Value },
	"strvalue": func(s *sample) string { return s.Labels["__value__"] },
	"args": func(args ...interface{}) map[string]interface{} {
		named := map[string]interface{}{}
		for i, arg := range args {
			named["arg"+strconv.Itoa(i)] = arg
		}
		return named
	},
	"sortByLabel": func(name string, v queryResult) queryResult {
		sort.SliceStable(v, func(i, j int) bool { return v[i].Labels[name] < v[j].Labels[name] })
		return v
	},
	"reReplaceAll": func(pattern, replacement, text string) string {
		return regexp.MustCompile(pattern).ReplaceAllString(text, replacement)
	},
	"match":          regexp.MatchString,
	"safeHtml":       func(text string) html.HTML { return html.HTML(text) },
	"toUpper":        strings.ToUpper,
	"toLower":        strings.ToLower,
	"urlQueryEscape": url.QueryEscape,
	"now":            func() float64 { return now },
	"toTime": func(v interface{}) (*time.Time, error) {
		f, err := toFloat(v)
		if err != nil {
			return nil, err
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, errors.New("value is NaN or Inf")
		}
		if math.Abs(f*1e9) > math.MaxInt64 {
			return nil, fmt.Errorf("%v cannot be represented as a nanoseconds timestamp "+
				"since it overflows int64", f)
		}
		t := time.UnixMilli(int64(f*1e9) / 1e6).UTC()
		return &t, nil
	},
	"toDuration": func(v interface{}) (*time.Duration, error) {
		f, err := toFloat(v)
		if err != nil {
			return nil, err
		}
		d := time.Duration(f * float64(time.Second))
		return &d, nil
	},
	// Only the name is needed, for the parser.
	"humanize": func(v interface{}) (string, error) {
		f, err := toFloat(v)
		return fmt.Sprintf("%.4g", f), err
	},
}

func run(c *testCase) {
	c.Output, c.Error, c.ParseError = nil, "", ""
	value := 0.97
	if c.Value != "" {
		var err error
		if value, err = strconv.ParseFloat(c.Value, 64); err != nil {
			log.Fatal(err)
		}
	}
	data := struct {
		Labels         map[string]string
		ExternalLabels map[string]string
		ExternalURL    string
		Value          interface{}
	}{
		map[string]string{
			"__name__": "up", "instance": "db-1.example:9100", "job": "node", "path": "/var/lib",
			"html": `<a href="x">it's & more</a>`, "unicode": "Zürich–Ω", "count": "42",
		},
		map[string]string{"cluster": "prod", "region": "eu-west-1"},
		"http://localhost:9090/prom",
		value,
	}
	rename := strings.NewReplacer("main.sample", "template.sample",
		"main.queryResult", "template.queryResult")
	t, err := template.New(name).Funcs(functions).Option("missingkey=zero").Parse(prefix + c.Template)
	if err != nil {
		c.ParseError = rename.Replace(err.Error())
		return
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		c.Error = rename.Replace(err.Error())
		return
	}
	text := rename.Replace(strings.ToValidUTF8(out.String(), "\uFFFD"))
	c.Output = &text
}

func main() {
	var cases []*testCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		log.Fatal(err)
	}
	for _, c := range cases {
		run(c)
	}
	// One case a line.
	fmt.Println("[")
	for i, c := range cases {
		var line bytes.Buffer
		encoder := json.NewEncoder(&line)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(c); err != nil {
			log.Fatal(err)
		}
		comma := ","
		if i == len(cases)-1 {
			comma = ""
		}
		fmt.Println(strings.TrimSuffix(line.String(), "\n") + comma)
	}
	fmt.Println("]")
}
