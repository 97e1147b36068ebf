#!/usr/bin/env bash
# gcloud against the local cloud: creates, changes and deletes addresses, machines and balancers, and checks
# gcloud's errors.
#
#   URL=http://127.64.0.1:8780 TOKEN_FILE=... PROJECT=... gcloud.sh machines|balancers|pools|groups|networks|catalogue
set -euo pipefail

CLOUDSDK_CONFIG=$(mktemp --directory)
trap 'rm --recursive --force -- "$CLOUDSDK_CONFIG"' EXIT
export CLOUDSDK_CONFIG
export CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE=$URL/compute/v1/
export CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=$TOKEN_FILE
export CLOUDSDK_CORE_PROJECT=$PROJECT
export CLOUDSDK_CORE_DISABLE_PROMPTS=1 CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=1
export CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=1
# No lookup of a metadata server, which would be another network's.
export CLOUDSDK_CORE_CHECK_GCE_METADATA=false NO_GCE_CHECK=true
export CLOUDSDK_COMPUTE_ZONE=europe-west1-b CLOUDSDK_COMPUTE_REGION=europe-west1

compute() {
    gcloud compute --quiet --verbosity=error "$@"
}

value() { # FIELD COMMAND...
    compute "${@:2}" --format "value($1)"
}

same() { # FOUND WANTED
    [[ $1 == "$2" ]] || {
        echo "line ${BASH_LINENO[0]}: expected '$2', found '$1'" >&2
        exit 1
    }
}

# Asserts that a command fails with an error that contains WORDS.
refused() { # WORDS COMMAND...
    local said
    if said=$(compute "${@:2}" 2>&1); then
        echo "expected an error: ${*:2}" >&2
        exit 1
    fi
    [[ $said == *"$1"* ]] || {
        echo "expected '$1' in: $said" >&2
        exit 1
    }
}

machines() {
    local address
    # More than one request in a command goes to the batch endpoint.
    compute addresses create front other
    same "$(value status addresses describe front)" RESERVED
    refused "already exists" addresses create front
    refused "was not found" addresses describe none
    compute addresses delete other
    address=$(value address addresses describe front)

    compute instances create one two --machine-type e2-small --image-family debian-12 --image-project debian-cloud \
        --tags web --labels role=web --no-address
    same "$(value 'name' instances list --filter labels.role=web --sort-by name | tr '\n' ' ')" "one two "
    same "$(value status instances describe one)" RUNNING
    compute instances add-access-config one --address "$address"
    same "$(value status addresses describe front)" IN_USE
    refused "At most one access config" instances add-access-config one
    compute instances delete-access-config one --access-config-name external-nat
    compute instances add-tags one --tags extra
    same "$(value 'tags.items' instances describe one)" "extra;web"
    compute instances add-labels one --labels more=yes
    compute instances add-metadata one --metadata greeting=hello
    same "$(value 'metadata.items[0].value' instances describe one)" hello
    [[ -n $(compute instances get-serial-port-output one) ]]
    compute disks create data --size 10GB
    compute instances attach-disk one --disk data --device-name data
    refused "already being used by" disks delete data
    compute instances set-disk-auto-delete one --disk data --auto-delete
    compute instances detach-disk one --disk data
    compute disks resize data --size 20GB
    same "$(value sizeGb disks describe data)" 20
    compute disks delete data
    compute instances stop two
    compute instances set-machine-type two --machine-type e2-medium
    compute instances start two
    compute instances reset two
    same "$(value 'machineType.basename()' instances describe two)" e2-medium

    compute instances create custom --custom-cpu 2 --custom-memory 4GB --scopes storage-ro --no-address
    [[ $(value 'serviceAccounts[0].email' instances describe custom) == *@* ]]
    refused "does not emulate" instances create six --stack-type IPV4_IPV6
    refused "does not emulate" disks create copy --source-snapshot none
    compute disks create boot --image-family debian-12 --image-project debian-cloud
    [[ $(value sourceImage disks describe boot) == */debian-12-* ]]
    compute disks delete boot
    compute instances delete one two custom
    compute addresses delete front
}

balancers() {
    local address
    compute addresses create front
    address=$(value address addresses describe front)
    compute instances create one two --machine-type e2-small --tags web --no-address
    compute firewall-rules create web --allow tcp:18490 --target-tags web --source-ranges 0.0.0.0/0
    compute firewall-rules update web --allow tcp:18490-18491
    compute instance-groups unmanaged create web
    compute instance-groups unmanaged add-instances web --instances one,two
    compute instance-groups unmanaged set-named-ports web --named-ports http:18490
    same "$(compute instance-groups unmanaged list-instances web --format 'value(status)' | sort -u)" RUNNING
    compute health-checks create tcp web --region europe-west1 --port 18490
    compute backend-services create web --load-balancing-scheme EXTERNAL --protocol TCP --region europe-west1 \
        --health-checks web --health-checks-region europe-west1
    compute backend-services add-backend web --region europe-west1 --instance-group web \
        --instance-group-zone europe-west1-b
    compute forwarding-rules create web --load-balancing-scheme EXTERNAL --address front --ports 18490 \
        --backend-service web
    same "$(value IPAddress forwarding-rules describe web)" "$address"
    [[ $(compute backend-services get-health web --region europe-west1) == *UNHEALTHY* ]]
    refused "already being used by" backend-services delete web --region europe-west1
    compute forwarding-rules delete web
    compute backend-services delete web --region europe-west1
    compute health-checks delete web --region europe-west1
    compute instance-groups unmanaged delete web
    compute firewall-rules delete web

    compute instances delete one two
    compute addresses delete front
}

pools() {
    local address
    compute addresses create front
    address=$(value address addresses describe front)
    compute instances create one two --machine-type e2-small --no-address
    compute http-health-checks create web --port 18491 --request-path /healthz
    compute target-pools create web --http-health-check web
    compute target-pools create other
    compute target-pools add-instances web --instances one,two --instances-zone europe-west1-b
    compute forwarding-rules create web --address front --ports 18491 --target-pool web
    same "$(value IPAddress forwarding-rules describe web)" "$address"
    [[ $(compute target-pools get-health web) == *UNHEALTHY* ]]
    same "$(value 'healthStatus[0].ipAddress' target-pools get-health web | sort -u)" "$address"
    refused "already being used by" target-pools delete web
    refused "already being used by" http-health-checks delete web
    compute forwarding-rules set-target web --target-pool other
    compute target-pools remove-instances web --instances two --instances-zone europe-west1-b
    refused "not currently attached" target-pools remove-instances web --instances two \
        --instances-zone europe-west1-b
    compute forwarding-rules delete web
    compute target-pools delete web other
    compute http-health-checks delete web

    compute project-info add-metadata --metadata greeting=hello
    same "$(value 'commonInstanceMetadata.items[0].value' project-info describe)" hello
    compute instances update one --deletion-protection
    refused "protected against deletion" instances delete one
    compute instances update one --no-deletion-protection
    compute networks subnets update default --enable-private-ip-google-access
    [[ -n $(compute routes list --format 'value(name)') ]]
    [[ -n $(compute disk-types list --format 'value(name)') ]]
    compute instances delete one two
    compute addresses delete front
}

groups() {
    local member before
    compute instance-templates create nodes --machine-type e2-small
    compute instance-groups managed create nodes --template nodes --size 2
    compute instance-groups managed wait-until nodes --stable
    same "$(compute instance-groups managed list-instances nodes --format 'value(instance.basename())' | wc -l)" 2
    compute instance-groups managed resize nodes --size 1
    member=$(compute instance-groups managed list-instances nodes --format 'value(instance.basename())')
    same "$(value name instance-groups managed list-instances nodes)" "$member"
    before=$(value id instances describe "$member")
    compute instance-groups managed recreate-instances nodes --instances "$member"
    compute instance-groups managed wait-until nodes --stable
    [[ $(value id instances describe "$member") != "$before" ]]
    compute instance-templates create larger --machine-type e2-medium
    compute instance-groups managed set-instance-template nodes --template larger
    same "$(value 'machineType.basename()' instances describe "$member")" e2-small
    compute instance-groups managed update-instances nodes --all-instances
    compute instance-groups managed wait-until nodes --version-target-reached
    same "$(value 'machineType.basename()' instances describe "$member")" e2-medium
    compute instance-groups managed rolling-action start-update nodes --version template=nodes
    compute instance-groups managed rolling-action replace nodes
    compute instance-groups managed rolling-action restart nodes
    compute instance-groups managed wait-until nodes --stable
    same "$(value 'versions[0].instanceTemplate.basename()' instance-groups managed describe nodes)" nodes
    compute instance-groups managed delete nodes
    compute instance-templates delete nodes larger
}

networks() {
    local block
    same "$(value name firewall-rules list --filter network=default --sort-by name | tr '\n' ' ')" \
        "default-allow-icmp default-allow-internal default-allow-rdp default-allow-ssh "
    block=$(value ipCidrRange networks subnets describe default | cut -d. -f1,2)
    compute networks subnets create pods --network default --range "$block.140.0/22" \
        --secondary-range pods=10.64.0.0/14
    compute networks subnets update pods --add-secondary-ranges services=10.0.0.0/16
    compute instance-templates create nodes --machine-type e2-small \
        --network-interface network=default,subnet=pods,aliases=pods:/24
    compute instances create one --machine-type e2-small \
        --network-interface network=default,subnet=pods,aliases=pods:/24
    same "$(value 'networkInterfaces[0].aliasIpRanges[0].ipCidrRange' instances describe one)" 10.64.0.0/24
    refused "already being used by" networks subnets update pods --remove-secondary-ranges pods
    compute firewall-rules create accounts --allow tcp:18492 --target-service-accounts a@p.test
    same "$(value 'targetServiceAccounts' firewall-rules describe accounts)" a@p.test
    compute firewall-rules delete accounts
    refused "auto subnet mode" networks subnets delete default
    compute instances delete one
    compute instance-templates delete nodes
    compute networks subnets delete pods
}

catalogue() {
    local list
    compute networks create own --subnet-mode custom
    refused "conflicts with existing subnetwork" networks subnets create own --network own \
        --range "$(value ipCidrRange networks subnets describe default)"
    compute networks delete own

    # Built-in resources.
    for list in zones regions machine-types images networks operations "networks subnets" disks; do
        # shellcheck disable=SC2086  # two words
        [[ $list == disks || -n $(compute $list list --format 'value(name)') ]] || {
            echo "no $list found" >&2
            exit 1
        }
    done
    [[ $(value 'quotas[].metric' project-info describe) == *CPUS_ALL_REGIONS* ]]
    refused "does not emulate" snapshots list
    refused "does not emulate" routers create none --network default
    for list in "networks name=default" "zones region=europe-west1" "routes network:default" \
        "images family:debian-12" "regions name~^europe"; do
        # shellcheck disable=SC2086  # two words
        set -- $list
        [[ -n $(compute "$1" list --filter "$2" --format 'value(name)') ]] || {
            echo "no $1 found by $2" >&2
            exit 1
        }
    done
    [[ $(value name images list --project cos-cloud --no-standard-images \
        --filter "family:cos-121-lts architecture:X86_64") == cos-121-* ]]
}

"$1"
