module dnswatch/oracles/go-template

go 1.19
