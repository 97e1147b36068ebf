#!/usr/bin/env bash
# gcloud against the local cloud: an address, machines and a balancer through their lives, and what gcloud
# says when something is refused.
#
#   URL=http://127.64.0.1:8780 TOKEN_FILE=... PROJECT=... gcloud.sh machines|balancers|pools|groups|catalogue
set -euo pipefail

CLOUDSDK_CONFIG=$(mktemp --directory)
trap 'rm --recursive --force -- "$CLOUDSDK_CONFIG"' EXIT
export CLOUDSDK_CONFIG
export CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE=$URL/compute/v1/
export CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=$TOKEN_FILE
export CLOUDSDK_CORE_PROJECT=$PROJECT
export CLOUDSDK_CORE_DISABLE_PROMPTS=1 CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=1
export CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=1
# It is told not to look for a metadata server: that would be another network's.
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
        echo "'$1' where '$2' was expected, in line ${BASH_LINENO[0]}" >&2
        exit 1
    }
}

# Fails with these words, or the script does.
refused() { # WORDS COMMAND...
    local said
    if said=$(compute "${@:2}" 2>&1); then
        echo "was not refused: ${*:2}" >&2
        exit 1
    fi
    [[ $said == *"$1"* ]] || {
        echo "'$1' isn't in: $said" >&2
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

    compute instances delete one two
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
    before=$(value id instances describe "$member")
    compute instance-groups managed recreate-instances nodes --instances "$member"
    compute instance-groups managed wait-until nodes --stable
    [[ $(value id instances describe "$member") != "$before" ]]
    compute instance-groups managed delete nodes
    compute instance-templates delete nodes
}

catalogue() {
    local list
    compute networks create own --subnet-mode custom
    refused "conflicts with existing subnetwork" networks subnets create own --network own \
        --range "$(value ipCidrRange networks subnets describe default)"
    compute networks delete own

    # What there is before anybody makes anything.
    for list in zones regions machine-types images networks operations "networks subnets" disks; do
        # shellcheck disable=SC2086  # two words
        [[ $list == disks || -n $(compute $list list --format 'value(name)') ]] || {
            echo "there are no $list" >&2
            exit 1
        }
    done
    [[ $(value 'quotas[].metric' project-info describe) == *CPUS_ALL_REGIONS* ]]
    refused "does not emulate" snapshots list
}

"$1"
